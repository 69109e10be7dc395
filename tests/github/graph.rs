//! GraphQL as our small GitHub has it: review threads, and nothing else. What the query does not name is not given, and
//! what is not there is refused, as GitHub refuses it: with status 200.

use serde_json::{Value, json};

/// A thread that somebody resolved, or nobody.
pub(super) fn thread(comment: u64, by: Option<&str>, outdated: bool) -> Value {
    json!({
        "isResolved": by.is_some(), "isOutdated": outdated, "resolvedBy": by.map(|login| json!({"login": login})),
        "comments": {"nodes": [{"fullDatabaseId": comment.to_string()}]},
    })
}

/// The answer to a request with this body. Threads come with the pull request that they are of.
pub(super) fn answered(body: &Value, repository: &str, threads: &[(u64, Value)]) -> Value {
    match attempt(body, repository, threads) {
        Ok(data) => json!({"data": data}),
        Err(message) => json!({"data": null, "errors": [{"message": message}]}),
    }
}

fn attempt(body: &Value, repository: &str, threads: &[(u64, Value)]) -> Result<Value, String> {
    let variables = &body["variables"];
    let known = ["owner", "name", "number", "after"];
    if let Some(other) = variables.as_object().and_then(|all| all.keys().find(|key| !known.contains(&&***key))) {
        return Err(format!("Variable ${other} is not used"));
    }
    let text = |name: &str| variables[name].as_str().unwrap_or("");
    let number = variables["number"].as_u64().ok_or("Variable $number of type Int! was provided invalid value")?;
    if format!("{}/{}", text("owner"), text("name")) != repository {
        return Err("Could not resolve to a Repository".into());
    }
    let own: Vec<&Value> = threads.iter().filter(|(pull, _)| *pull == number).map(|(_, thread)| thread).collect();
    let start: usize = text("after").parse().unwrap_or(0);
    let shown: Vec<&Value> = own.iter().skip(start).take(100).copied().collect();
    let end = start + shown.len();
    let page = json!({"hasNextPage": end < own.len(), "endCursor": end.to_string()});
    let all = json!({"repository": {"pullRequest": {"reviewThreads": {"pageInfo": page, "nodes": shown}}}});
    let query = body["query"].as_str().ok_or("A query attribute must be specified and must be a string.")?;
    let at = query.find('{').ok_or("Unexpected end of document")?;
    let words = words(&query[at..]);
    project(&all, &selection(&mut words.iter())?)
}

/// A field that is asked for.
struct Field {
    name: String,
    arguments: Vec<String>,
    fields: Vec<Field>,
}

/// Names, values, braces and parentheses.
fn words(text: &str) -> Vec<String> {
    let mut spaced = text.replace([',', ':'], " ");
    for mark in ["{", "}", "(", ")"] {
        spaced = spaced.replace(mark, &format!(" {mark} "));
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// The fields between two braces.
fn selection(words: &mut std::slice::Iter<'_, String>) -> Result<Vec<Field>, String> {
    if words.next().is_none_or(|word| word != "{") {
        return Err("Expected a selection".into());
    }
    let mut fields: Vec<Field> = Vec::new();
    loop {
        match words.as_slice().first().map(|word| &**word) {
            None => return Err("Unexpected end of document".into()),
            Some("}") => {
                words.next();
                return Ok(fields);
            }
            Some("{") => fields.last_mut().ok_or("Expected a name")?.fields = selection(words)?,
            Some("(") => {
                let arguments = words.by_ref().skip(1).take_while(|word| *word != ")").cloned().collect();
                fields.last_mut().ok_or("Expected a name")?.arguments = arguments;
            }
            Some(name) => {
                fields.push(Field { name: name.to_owned(), arguments: Vec::new(), fields: Vec::new() });
                words.next();
            }
        }
    }
}

/// What is asked for of a value.
fn project(value: &Value, fields: &[Field]) -> Result<Value, String> {
    match value {
        Value::Array(all) => all.iter().map(|one| project(one, fields)).collect(),
        Value::Object(object) if fields.is_empty() => Err(format!("Field must have selections: {:?}", object.keys())),
        Value::Object(object) => {
            let mut out = serde_json::Map::new();
            for field in fields {
                let Some(inner) = object.get(&field.name) else {
                    return Err(format!("Field '{}' doesn't exist", field.name));
                };
                let expected: &[&str] = match &*field.name {
                    "repository" => &["owner", "$owner", "name", "$name"],
                    "pullRequest" => &["number", "$number"],
                    "reviewThreads" => &["first", "100", "after", "$after"],
                    "comments" => &["first", "1"],
                    _ => &[],
                };
                if field.arguments != expected {
                    return Err(format!("Field '{}' doesn't accept {:?}", field.name, field.arguments));
                }
                out.insert(field.name.clone(), project(inner, &field.fields)?);
            }
            Ok(out.into())
        }
        Value::Null => Ok(Value::Null),
        plain if fields.is_empty() => Ok(plain.clone()),
        plain => Err(format!("Selections can't be made on scalars: {plain}")),
    }
}
