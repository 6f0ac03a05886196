//! Which of the content types on offer a client prefers (RFC 9110 §12.5.1), by q-values; ties go to the order of the offer.

/// The preferred type of `offers`; the first where nothing is acceptable or nothing was asked.
pub(super) fn prefer<'a>(accept: &str, offers: &[&'a str]) -> &'a str {
    let mut best: Option<(&str, f32)> = None;
    for offer in offers {
        let quality = quality(accept, offer);
        if quality > 0.0 && best.is_none_or(|(_, known)| quality > known) {
            best = Some((offer, quality));
        }
    }
    best.map(|(offer, _)| offer)
        .and_then(|best| offers.iter().find(|offer| **offer == best))
        .or(offers.first())
        .copied()
        .unwrap_or_default()
}

/// The q-value of the most specific range that matches.
fn quality(accept: &str, offer: &str) -> f32 {
    let family = offer.split('/').next().unwrap_or_default();
    let mut found: Option<(u8, f32)> = None;
    for range in accept.split(',').take(100) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let specificity = if kind.eq_ignore_ascii_case(offer) {
            2
        } else if kind.strip_suffix("/*").is_some_and(|kind| kind.eq_ignore_ascii_case(family)) {
            1
        } else if kind == "*/*" {
            0
        } else {
            continue;
        };
        let weight = parts
            .find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")))
            .and_then(|text| text.trim().parse::<f32>().ok())
            .filter(|weight| (0.0..=1.0).contains(weight))
            .unwrap_or(1.0);
        if found.is_none_or(|(known, _)| specificity > known) {
            found = Some((specificity, weight));
        }
    }
    found.map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::prefer;

    #[test]
    fn the_highest_weight_wins_and_ties_go_to_the_order_of_the_offer() {
        let offers =
            &["text/html", "application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+json"];
        let json = "application/vnd.pypi.simple.v1+json";
        for (accept, expected) in [
            ("", "text/html"),
            ("*/*", "text/html"),
            ("image/png", "text/html"),
            (json, json),
            (
                "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.1, text/html;q=0.01",
                json,
            ),
            ("text/html;q=0.5, application/vnd.pypi.simple.v1+json;q=0.4", "text/html"),
            ("*/*;q=0.1, application/vnd.pypi.simple.v1+json;q=0.2", json),
            ("application/*;q=0.9, text/html;q=0.1", "application/vnd.pypi.simple.v1+html"),
            ("text/html;q=0, */*", "application/vnd.pypi.simple.v1+html"),
        ] {
            assert_eq!(prefer(accept, offers), expected, "{accept}");
        }
    }
}
