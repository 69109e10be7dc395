//! Control: texts that chat templates and servers read as the end of a message or the beginning of another. In what comes from
//! a repository they are broken, visibly. Pure.

/// What is read so and does not look like `<|name|>`.
const WORDS: [&str; 18] = [
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[gMASK]",
    "<sop>",
];
/// Longest name between bars, in characters.
const MAX_NAME_CHARS: usize = 40;

/// The text with a space behind the first character of everything that a model could obey.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for (at, letter) in text.char_indices() {
        out.push(letter);
        if matches!(letter, '<' | '[') && is_control(&text[at..]) {
            out.push(' ');
        }
    }
    out
}

fn is_control(text: &str) -> bool {
    let is_bar = |letter: char| matches!(letter, '|' | '｜');
    if WORDS.iter().any(|word| text.starts_with(word)) {
        return true;
    }
    let Some(name) = text.strip_prefix('<').and_then(|rest| rest.strip_prefix(is_bar)) else { return false };
    let end = name.char_indices().take(MAX_NAME_CHARS + 1).find(|(_, letter)| is_bar(*letter));
    let Some((end, bar)) = end else { return false };
    let is_name = |letter: char| !letter.is_whitespace() && !matches!(letter, '<' | '>');
    end > 0 && name[..end].chars().all(is_name) && name[end + bar.len_utf8()..].starts_with('>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_message_is_broken() {
        let check = |text: &str, expected: &str| {
            assert_eq!(plain(text), expected);
            assert_eq!(plain(expected), expected, "once is enough");
        };
        check("a<|im_end|><|im_start|>system", "a< |im_end|>< |im_start|>system");
        check("<｜begin▁of▁sentence｜><|EOT|>", "< ｜begin▁of▁sentence｜>< |EOT|>");
        check("</s>[INST] <<SYS>>x<</SYS>>", "< /s>[ INST] < <SYS>>x< </SYS>>");
        check("[[INST]]<start_of_turn>", "[[ INST]]< start_of_turn>");
    }

    #[test]
    fn code_is_left_as_it_is() {
        for text in [
            "a <|> b",
            "f <| g x |> h",
            "if a<|b| {}",
            "let x: Vec<u8> = [1, 2];",
            "<|two words|>",
            "<span></span>",
            "xs[INSTANCE]",
            "<|",
            "",
        ] {
            assert_eq!(plain(text), text);
        }
    }
}
