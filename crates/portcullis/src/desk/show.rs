//! The server's answers as a person reads them. What others wrote is shown with its unseen characters.

use std::fmt::Write;

use portcullis_index::visible::{visible, visible_lines};
use serde_json::Value;

/// A member as text, harmless to a terminal.
fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => visible(text, 500),
        Some(Value::Null) | None => String::new(),
        Some(other) => visible(&other.to_string(), 500),
    }
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// `writeln!` into a `String` does not fail.
macro_rules! line {
    ($out:expr, $($argument:tt)*) => {{ let _ = writeln!($out, $($argument)*); }};
}

pub(super) fn receipt(answer: &Value) -> String {
    let mut out = String::new();
    line!(out, "The report lies safely at the server. Keep this receipt.");
    line!(out, "");
    line!(out, "id:        {}", text(answer, "/id"));
    line!(out, "status:    {}", text(answer, "/status_url"));
    line!(out, "signature: {} (key {})", text(answer, "/receipt/signature"), text(answer, "/receipt/key"));
    line!(out, "over:");
    let document = answer.pointer("/receipt/document").and_then(Value::as_str).unwrap_or_default();
    for one in visible_lines(document, 4_000).lines() {
        line!(out, "  {one}");
    }
    out
}

pub(super) fn tokens(answer: &Value) -> String {
    let mut out = String::new();
    for (kind, pointer) in [("api", "/tokens"), ("management", "/management_tokens")] {
        for token in list(answer, pointer) {
            let mut may = list(token, "/projects").chain(list(token, "/scopes")).map(|part| text(part, ""));
            let may = may.by_ref().collect::<Vec<_>>().join(", ");
            let may = if may.is_empty() { String::from("entire account") } else { may };
            let (id, state, description) =
                (text(token, "/id"), text(token, "/state"), text(token, "/description"));
            line!(out, "{id}  {kind:<10}  {state:<9}  {may}  {description}");
            let cause = text(token, "/state_cause");
            if !cause.is_empty() {
                line!(out, "    {cause}");
            }
        }
    }
    if out.is_empty() {
        line!(out, "no tokens");
    }
    out
}

pub(super) fn publishers(answer: &Value) -> String {
    let mut out = String::new();
    for publisher in list(answer, "/publishers") {
        let state = text(publisher, "/state");
        let state =
            if state.is_empty() { format!("waits for {}", text(publisher, "/project")) } else { state };
        let (id, provider) = (text(publisher, "/id"), text(publisher, "/provider"));
        line!(out, "{id}  {provider}  {state}");
        let fields = publisher.pointer("/configuration").and_then(Value::as_object).into_iter().flatten();
        for (name, _) in fields {
            line!(out, "    {name}={}", text(publisher, &format!("/configuration/{name}")));
        }
    }
    if out.is_empty() {
        line!(out, "no publishers");
    }
    out
}

pub(super) fn publisher_added(answer: &Value) -> String {
    format!("{}\n", text(answer, "/id"))
}

pub(super) fn cases(answer: &Value) -> String {
    let mut out = String::new();
    let oldest = text(answer, "/oldest_unseen_report");
    if !oldest.is_empty() {
        line!(out, "oldest report that nobody has seen: {oldest}");
    }
    for case in list(answer, "/cases") {
        line!(
            out,
            "{}  {:<9}  {}  {}",
            text(case, "/id"),
            text(case, "/state"),
            text(case, "/opened_at"),
            text(case, "/title")
        );
    }
    if out.is_empty() {
        line!(out, "no cases");
    }
    out
}

pub(super) fn opened(case: &Value) -> String {
    let mut out = String::new();
    line!(out, "case {} ({}): {}", text(case, "/id"), text(case, "/state"), text(case, "/title"));
    out
}

pub(super) fn case(case: &Value) -> String {
    let mut out = opened(case);
    for report in list(case, "/reports") {
        line!(
            out,
            "\nreport {} from {}: {} {} ({}, {})",
            text(report, "/id"),
            text(report, "/reporter"),
            text(report, "/kind"),
            text(report, "/subject"),
            text(report, "/state"),
            text(report, "/level")
        );
        let said = report.pointer("/text").and_then(Value::as_str).unwrap_or_default();
        for one in visible_lines(said, 4_000).lines() {
            line!(out, "  | {one}");
        }
    }
    for look in list(case, "/examinations") {
        line!(
            out,
            "\nexamination of {}: {} {}",
            text(look, "/repository"),
            text(look, "/state"),
            text(look, "/problem")
        );
    }
    line!(out, "");
    for action in list(case, "/actions") {
        line!(
            out,
            "{}  {:<9} {:<15} {}  {}",
            text(action, "/id"),
            text(action, "/state"),
            text(action, "/type"),
            text(action, "/target_id"),
            text(action, "/reason")
        );
    }
    line!(out, "");
    for event in list(case, "/timeline") {
        let actor = text(event, "/actor/name") + &text(event, "/actor/part");
        line!(out, "{}  {}  {}  {}", text(event, "/at"), text(event, "/tag"), actor, text(event, "/details"));
    }
    out
}

pub(super) fn radius(radius: &Value) -> String {
    let mut out = String::new();
    line!(out, "case {}, evidence level {}", text(radius, "/case"), text(radius, "/level"));
    for exposure in list(radius, "/exposures") {
        let until = text(exposure, "/until/time");
        line!(
            out,
            "\nexposed: {} of {} to {} ({}, {})",
            text(exposure, "/secret"),
            text(exposure, "/repository"),
            text(exposure, "/destination").replace('.', "[.]"),
            text(exposure, "/level"),
            text(exposure, "/standing")
        );
        line!(
            out,
            "  from {} ({}) until {}",
            text(exposure, "/from/time"),
            text(exposure, "/from/basis"),
            if until.is_empty() { String::from("now: it still stands") } else { until }
        );
    }
    for edge in list(radius, "/edges") {
        let contested = if edge.get("contested") == Some(&Value::Bool(true)) { ", contested" } else { "" };
        line!(
            out,
            "\n{} {} -> {} {} ({}{contested})\n  {}",
            text(edge, "/from/type"),
            text(edge, "/from/label"),
            text(edge, "/to/type"),
            text(edge, "/to/label"),
            text(edge, "/strength"),
            text(edge, "/reason")
        );
    }
    for token in list(radius, "/tokens") {
        line!(
            out,
            "\ntoken {} {:?} of {}: {}, {}",
            text(token, "/id"),
            text(token, "/description"),
            text(token, "/account/name"),
            text(token, "/rank"),
            text(token, "/state")
        );
        for reason in token.get("reasons").and_then(Value::as_array).into_iter().flatten() {
            line!(out, "  because {}", text(reason, ""));
        }
        line!(out, "  {}", text(token, "/evidence/sentence"));
        for used in list(token, "/evidence/uses") {
            line!(
                out,
                "    {}  {} {} from {} with {}: {} ({}; {})",
                text(used, "/at"),
                text(used, "/kind"),
                text(used, "/filename"),
                text(used, "/network"),
                text(used, "/client"),
                text(used, "/verdict"),
                text(used, "/runs"),
                text(used, "/why")
            );
        }
    }
    for file in list(radius, "/files") {
        line!(out, "\nfile {}: {} ({})", text(file, "/filename"), text(file, "/verdict"), text(file, "/why"));
    }
    warnings(&mut out, radius);
    out
}

pub(super) fn plan(plan: &Value) -> String {
    let mut out = String::new();
    let applied = text(plan, "/applied_at");
    line!(out, "case {}, evidence level {}", text(plan, "/case"), text(plan, "/level"));
    for action in list(plan, "/actions") {
        line!(
            out,
            "\n{}  {:<15} {}\n  {}",
            text(action, "/id"),
            text(action, "/type"),
            text(action, "/label"),
            text(action, "/reason")
        );
    }
    warnings(&mut out, plan);
    for added in list(plan, "/added_since_plan") {
        line!(out, "added since the plan was shown: {}", text(added, ""));
    }
    let digest = text(plan, "/digest");
    if !applied.is_empty() {
        line!(out, "\napplied at {applied}");
    } else if list(plan, "/actions").next().is_some() {
        line!(
            out,
            "\nNothing was done yet. To do it: portcullis case contain {} --apply {digest}",
            text(plan, "/case")
        );
    }
    out
}

fn warnings(out: &mut String, value: &Value) {
    for warning in list(value, "/warnings") {
        line!(out, "\nwarning: {}", text(warning, ""));
    }
}

pub(super) fn released(answer: &Value) -> String {
    let mut out = String::new();
    for action in list(answer, "/released") {
        line!(out, "taken back: {}", text(action, ""));
    }
    if out.is_empty() {
        line!(out, "nothing was in force");
    }
    out
}

pub(super) fn notices(answer: &Value) -> String {
    let mut out = String::new();
    for notice in list(answer, "/notices") {
        line!(
            out,
            "{:<10} {}  {}  {}  {}",
            text(notice, "/state"),
            text(notice, "/created_at"),
            text(notice, "/recipient"),
            text(notice, "/subject"),
            text(notice, "/last_error")
        );
    }
    if out.is_empty() {
        line!(out, "no notices");
    }
    out
}
