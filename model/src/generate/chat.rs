//! Chat: messages to the text that a model was trained to read, by its own Jinja template.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value as Jinja, context};
use serde_json::Value;

/// A chat template.
#[derive(Debug)]
pub(super) struct Template {
    source: String,
    start: String,
    end: String,
}

impl Template {
    /// The template in a model's files, if there is one: `chat_template.jinja`, or in the tokenizer's settings.
    pub(super) fn read(directory: &Path, settings: &Value) -> Result<Option<Template>, String> {
        let named = |name: &str| {
            let value = &settings[name];
            value.as_str().or_else(|| value["content"].as_str()).unwrap_or_default().to_owned()
        };
        let template = &settings["chat_template"];
        let listed = template.as_array().into_iter().flatten().find(|entry| entry["name"] == "default");
        let source = match std::fs::read_to_string(directory.join("chat_template.jinja")) {
            Ok(source) => Some(source),
            Err(_) => template.as_str().or_else(|| listed?["template"].as_str()).map(str::to_owned),
        };
        let Some(source) = source else { return Ok(None) };
        let template = Template { source, start: named("bos_token"), end: named("eos_token") };
        template.environment()?;
        Ok(Some(template))
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    fn environment(&self) -> Result<Environment<'_>, String> {
        let mut environment = Environment::new();
        // As the templates' authors have it.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_function("raise_exception", |message: String| -> Result<Jinja, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        // The day, as some templates tell it to their models; in UTC.
        environment.add_function("strftime_now", |format: String| -> Result<String, Error> {
            jiff::fmt::strtime::format(&format, jiff::Timestamp::now())
                .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
        });
        environment.add_filter("tojson", |value: Jinja| -> Result<Jinja, Error> {
            let value = serde_json::to_value(&value)
                .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            Ok(Jinja::from_safe_string(python_json(&value)))
        });
        environment.add_template("chat", &self.source).map_err(|error| format!("its chat template: {error}"))?;
        Ok(environment)
    }

    /// Messages (who, what) as text; with `answer`, up to where the answer begins.
    pub(super) fn render(&self, messages: &[(&str, &str)], answer: bool) -> Result<String, String> {
        let messages: Vec<Jinja> =
            messages.iter().map(|(role, content)| context! { role => *role, content => *content }).collect();
        let environment = self.environment()?;
        let template = environment.get_template("chat").map_err(|error| format!("its chat template: {error}"))?;
        template
            .render(context! {
                messages,
                add_generation_prompt => answer,
                bos_token => self.start.as_str(),
                eos_token => self.end.as_str(),
            })
            .map_err(|error| format!("its chat template: {error}"))
    }
}

/// JSON as Python writes it, which templates count on.
fn python_json(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().map(python_json).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Object(members) => {
            let parts: Vec<String> = members
                .iter()
                .map(|(name, member)| format!("{}: {}", Value::from(name.as_str()), python_json(member)))
                .collect();
            format!("{{{}}}", parts.join(", "))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(source: &str) -> Template {
        let settings = json!({"chat_template": source, "bos_token": "<s>", "eos_token": {"content": "</s>"}});
        Template::read(Path::new("no/such/place"), &settings).expect("a readable template").expect("a template")
    }

    #[test]
    fn templates_are_rendered_as_python_does() {
        let check = |source: &str, expected: &str| {
            let messages = [("system", " be brief "), ("user", "hi <b>")];
            assert_eq!(template(source).render(&messages, true).as_deref(), Ok(expected), "{source}");
        };
        check(
            "{{ bos_token }}{% for m in messages %}\n{{ m['role'] }}: {{ m.content | trim }}\n{% endfor %}",
            "<s>system: be brief\nuser: hi <b>\n",
        );
        check("{% if messages[0]['role'] == 'system' %}{{ messages[0].content.strip() }}{% endif %}", "be brief");
        check("{{ messages[1] | tojson }}", "{\"role\": \"user\", \"content\": \"hi <b>\"}");
        check("{%- if add_generation_prompt %}{{ '<A>' + eos_token }}{%- endif %}\n", "<A></s>");
        check(
            "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role.upper() }}{% endfor %}",
            "USER",
        );
        let dated = template("{{ strftime_now('%d %b %Y') }}").render(&[], true).expect("a day");
        let parts: Vec<&str> = dated.split(' ').collect();
        assert!(parts.len() == 3 && parts[2].parse::<u32>().is_ok_and(|year| year > 2000), "{dated}");
        let refusing = template("{{ raise_exception('no system') }}").render(&[], true);
        assert!(refusing.is_err_and(|why| why.contains("no system")));
    }

    #[test]
    fn a_template_that_is_none_is_refused() {
        let read = |settings: Value| Template::read(Path::new("no/such/place"), &settings);
        assert!(read(json!({"chat_template": "{% if %}"})).is_err());
        assert!(read(json!({})).is_ok_and(|template| template.is_none()));
        let list = json!({"chat_template": [{"name": "tool", "template": "a"}, {"name": "default", "template": "b"}]});
        assert!(read(list).is_ok_and(|template| template.is_some_and(|template| template.source == "b")));
    }
}
