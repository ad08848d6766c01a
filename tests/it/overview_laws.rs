//! The status page without a gateway around it: what was pushed never becomes markup, JSON stays
//! JSON, searching, sorting and paging do what a plain list does, and nothing makes it too long.

use std::fmt::Write;

use prometheus_aggregation_gateway::aggregate::View;
use prometheus_aggregation_gateway::gateway::{Gateway, Start};
use prometheus_aggregation_gateway::overview::html::{Shown, html};
use prometheus_aggregation_gateway::overview::json::json;
use prometheus_aggregation_gateway::overview::listing::{PAGE_FAMILIES, RANKED_MAX, list};
use prometheus_aggregation_gateway::overview::opened::open;
use prometheus_aggregation_gateway::overview::query::Query;
use prometheus_aggregation_gateway::overview::{
    JournalSummary, Limit, Outcome, Overview, PAGE_BYTES_MAX, PushResultCount, Pushes,
    RefusedRequest, Senders,
};
use prometheus_aggregation_gateway::rules::Rules;

use crate::push_text::PushText;
use crate::random::Random;
use crate::strict_html::Html;
use crate::strict_json::Json;

const HOSTILE: &[&str] = &[
    "</script><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' autofocus onfocus='alert(1)",
    "<!--",
    "]]>",
    "&lt;script&gt;&amp;&#39;&#x3c;",
    "\u{1b}[31mred\u{1b}[0m\u{9b}1m",
    "\u{202e}gnp.exe\u{202c}\u{2066}\u{200f}",
    "\u{1}\u{7}\u{8}\u{c}\r\n\t\u{7f}\u{85}",
    "\u{feff}\u{200b}\u{ad}\u{e0041}\u{fffe}\u{10ffff}",
    "\u{5d0}\u{5d1} \u{627}\u{644}",
    "a\\b\"c'd\ne",
    "Z\u{351}\u{36b}\u{343}\u{32a}",
    "{{x}}${x}%3Cb%3E+&amp=1#y?z",
    "javascript:alert(1)",
];

/// A text of pieces of those that are hostile, and one of as many letters.
fn text(random: &mut Random) -> (String, String) {
    let mut text = String::new();
    for _ in 0..1 + random.below(3) {
        let characters: Vec<char> = random.pick(HOSTILE).chars().collect();
        let start = random.below(characters.len());
        let end = start + 1 + random.below(characters.len() - start);
        text.extend(&characters[start..end]);
    }
    let harmless = "x".repeat(text.chars().count());
    (text, harmless)
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', r#"\""#);
    text.replace('\n', r"\n")
}

fn results(names: [(&'static str, Outcome); 3], random: &mut Random) -> Vec<PushResultCount> {
    let mut result = |(result, outcome)| PushResultCount {
        result,
        outcome,
        total: random.bits(),
        minutes: std::array::from_fn(|_| random.bits() % 100),
    };
    names.map(&mut result).into()
}

/// An overview whose texts are these.
fn overview(random: &mut Random, text: &str) -> Overview {
    let results = results(
        [
            ("accepted", Outcome::Accepted),
            ("invalid", Outcome::Refused),
            ("conflict", Outcome::Refused),
        ],
        random,
    );
    let refused = RefusedRequest {
        time_millis: 1_700_000_000_000,
        sender: text.to_owned(),
        method: text.to_owned(),
        path: text.to_owned(),
        code: 400,
        reason: text.to_owned(),
    };
    Overview {
        version: "1.2.3",
        commit: "unknown",
        now_millis: 1_764_000_000_000,
        uptime_seconds: 12_345,
        next_reset: Some(1_764_000_500),
        last_reset: None,
        families: 7,
        series: 9,
        pushes: Pushes {
            per_second: 12.3,
            results,
        },
        journal: Some(JournalSummary {
            bytes: 123_456,
            snapshot_bytes: 5,
            trouble: Some(text.to_owned()),
        }),
        limits: vec![Limit {
            resource: "series",
            used: Some(9),
            limit: Some(u64::MAX),
        }],
        senders: Some(Senders {
            live: 3,
            remembered: 4,
        }),
        refusals: vec![refused; 20],
    }
}

struct Rendered {
    html: String,
    json: String,
}

fn render(view: &View, overview: &Overview, query: &Query) -> Rendered {
    let listing = list(view, query);
    let opened = open(view, query);
    let shown = Shown {
        overview,
        query,
        listing: &listing,
        opened: opened.as_ref(),
    };
    Rendered {
        html: html(shown),
        json: json(shown),
    }
}

/// A gateway in which all texts that a push can bring are this one, and its page.
fn page_of(seed: u64, text: &str) -> Rendered {
    let mut random = Random::new(seed);
    let overview = overview(&mut random, text);
    let gateway = Gateway::default();
    let value = escaped(text);
    // Quotes are not escaped there (exposition formats, text format).
    let help = format!("t{text}").replace('\\', r"\\").replace('\n', r"\n");
    let mut body = format!("# HELP some {help}\n# TYPE some counter\n# HELP h {help}\n");
    let _ = write!(
        body,
        "# TYPE h histogram\nsome{{a=\"{value}\",b=\"{value}\"}} 1\n"
    );
    for (bound, count) in [("1", 3), ("2.5", 4), ("+Inf", 9)] {
        let _ = writeln!(body, "h_bucket{{a=\"{value}\",le=\"{bound}\"}} {count}");
    }
    let _ = write!(
        body,
        "h_sum{{a=\"{value}\"}} 5\nh_count{{a=\"{value}\"}} 9\n"
    );
    gateway.push_text("", body.as_bytes()).expect("it is valid");
    // Nothing is called that or matches it, whatever the text.
    let unknown = format!("{text}\u{2603}");
    let query = Query {
        family: Some((*random.pick(&["some", "h", &unknown])).to_owned()),
        search: if random.percent(50) {
            String::new()
        } else {
            unknown
        },
        ..Query::default()
    };
    render(&gateway.view(), &overview, &query)
}

/// The elements, attributes and classes of a page do not depend on what was pushed.
#[test]
fn no_text_becomes_markup() {
    let mut random = Random::new(1);
    let whole = HOSTILE
        .iter()
        .map(|text| ((*text).to_owned(), "x".repeat(text.chars().count())));
    let pieces: Vec<_> = (0..500).map(|_| text(&mut random)).collect();
    for (seed, (hostile, harmless)) in (0..).zip(whole.chain(pieces)) {
        let (hostile, harmless) = (page_of(seed, &hostile), page_of(seed, &harmless));
        let (page, other) = (Html::read(&hostile.html), Html::read(&harmless.html));
        assert_eq!(page.raw, other.raw);
        let differs = page.skeleton.iter().zip(&other.skeleton);
        let differs = differs.enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(page.skeleton.len(), other.skeleton.len(), "seed {seed}");
        let is_own = |link: &&String| {
            let link = link.as_str();
            !(link.starts_with('/') || link.starts_with('#') || link.starts_with("data:"))
        };
        assert_eq!(page.links.iter().find(is_own), None);
    }
}

#[test]
fn json_is_valid_and_says_what_was_pushed() {
    for (seed, text) in (0..).zip(HOSTILE) {
        let rendered = page_of(seed, text);
        let json = Json::read(&rendered.json);
        let refusal = &json.at(&["refusals"]).array()[0];
        assert_eq!(refusal.at(&["path"]).text(), *text);
        assert_eq!(json.at(&["journal", "trouble"]).text(), *text);
        if let Json::Object(_) = json.at(&["opened_family"]) {
            let opened = json.at(&["opened_family"]);
            assert_eq!(opened.at(&["help"]).text(), format!("t{text}"));
            let series = &opened.at(&["series_list"]).array()[0];
            assert_eq!(series.at(&["labels", "a"]).text(), *text);
        }
    }
}

/// What is written into a link is what the next request is asked for.
#[test]
fn queries_are_read_back() {
    let mut random = Random::new(2);
    for _ in 0..2_000 {
        let (search, _) = text(&mut random);
        let (family, _) = text(&mut random);
        let sorts = ["", "name", "-name", "type", "-type", "series", "-pushed"];
        let sort = Query::parse(&format!("sort={}", random.pick(&sorts))).expect("a sort");
        let query = Query {
            search,
            sort: sort.sort,
            page: 1 + random.below(1000),
            family: Some(family),
        };
        let written = query.to_string();
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%&=".contains(&byte);
        assert!(written.bytes().all(is_safe), "{written}");
        assert_eq!(Query::parse(&written), Ok(query));
    }
    let read = Query::parse("x=1&q=a+b%2Bc&q=d&page=&sort").expect("it is right");
    assert_eq!((read.search.as_str(), read.page), ("a b+c", 1));
}

#[test]
fn wrong_queries_say_what_was_expected() {
    for (query, line) in [
        ("page=0", "page: expected a number from 1 on, found `0`"),
        ("page=+1", "page: expected a number from 1 on, found `+1`"),
        ("page=-1", "page: expected a number from 1 on, found `-1`"),
        (
            "page=99999999999999999999999",
            "page: expected a number from 1 on, found `99999999999999999999999`",
        ),
        (
            "sort=help",
            "sort: expected name, type, series or pushed, or one of them behind a -, found `help`",
        ),
        (
            "q=%zz",
            "q: expected at most 256 bytes of UTF-8, found `%zz`",
        ),
        (
            "q=%ff",
            "q: expected at most 256 bytes of UTF-8, found `%ff`",
        ),
        (
            "q=1+2+3+4+5+6+7+8+9",
            "q: expected at most 8 words, found `1 2 3 4 5 6 7 8 9`",
        ),
    ] {
        let error = Query::parse(query).expect_err("it is wrong");
        assert_eq!(error.to_string(), line);
    }
    let long = format!("family={}", "x".repeat(513));
    assert!(Query::parse(&long).is_err());
}

/// Against a list that is filtered, sorted and cut as a whole.
#[test]
fn pages_are_those_of_a_plain_list() {
    let mut random = Random::new(3);
    for _ in 0..30 {
        let gateway = Gateway::default();
        let mut body = String::new();
        let families = *random.pick(&[0, 1, 3, 49, 50, 51, 220]);
        let mut model = Vec::new();
        for number in 0..families {
            let name = format!("{}_{number}", random.pick(&["http", "HTTP", "db", "x_dB"]));
            let word = *random.pick(&["counter", "gauge", "untyped"]);
            let help = *random.pick(&["Requests", "of a DB", "http"]);
            let series = 1 + random.below(3);
            let _ = write!(body, "# HELP {name} {help}\n# TYPE {name} {word}\n");
            for k in 0..series {
                let _ = writeln!(body, "{name}{{k=\"{k}\"}} 1");
            }
            model.push((name, word, help, series));
        }
        gateway.push_text("", body.as_bytes()).expect("it is valid");
        model.sort();
        let view = gateway.view();
        for sort in [
            "name", "-name", "type", "-type", "series", "-series", "pushed", "-pushed",
        ] {
            for search in ["", "http", "Db+_", "re%51uests", "x+y", "_1"] {
                check_pages(&view, &model, sort, search);
            }
        }
    }
}

fn check_pages(view: &View, model: &[(String, &str, &str, usize)], sort: &str, search: &str) {
    let query = format!("sort={sort}&q={search}");
    let query = Query::parse(&query).expect("it is right");
    let mut expected: Vec<_> = model
        .iter()
        .filter(|(name, _, help, _)| {
            let is_in = |text: &str, word: &str| text.to_lowercase().contains(&word.to_lowercase());
            let mut words = query.words();
            words.all(|word| is_in(name, word) || is_in(help, word))
        })
        .collect();
    match sort {
        "-name" => expected.reverse(),
        "type" => expected.sort_by_key(|family| family.1),
        "-type" => expected.sort_by_key(|family| std::cmp::Reverse(family.1)),
        "series" => expected.sort_by_key(|family| std::cmp::Reverse(family.3)),
        "-series" => expected.sort_by_key(|family| family.3),
        _ => {}
    }
    let pages = expected.len().div_ceil(PAGE_FAMILIES).max(1);
    for page in 1..=pages + 1 {
        let listing = list(view, &query.with_page(page));
        assert_eq!((listing.matches, listing.pages), (expected.len(), pages));
        let found: Vec<&str> = listing.families.iter().map(|family| family.0).collect();
        let of_page = expected.iter().skip((page - 1) * PAGE_FAMILIES);
        let of_page: Vec<&str> = of_page
            .take(PAGE_FAMILIES)
            .map(|family| family.0.as_str())
            .collect();
        assert_eq!(found, of_page, "{sort} {search} page {page}");
    }
}

/// Sorted by anything but names, pages end where memory would begin to grow.
#[test]
fn many_families_are_ranked_to_a_limit() {
    let gateway = Gateway::default();
    let families = RANKED_MAX + 100;
    let body = (0..families).fold(String::new(), |mut body, number| {
        let _ = writeln!(body, "f{number:06}{{k=\"0\"}} 1");
        if number % 1000 == 999 {
            let _ = writeln!(body, "f{number:06}{{k=\"1\"}} 1");
        }
        body
    });
    gateway.push_text("", body.as_bytes()).expect("it is valid");
    let view = gateway.view();
    let query = Query::parse("sort=series").expect("it is right");
    let first = list(&view, &query);
    assert_eq!(
        (first.matches, first.pages),
        (families, RANKED_MAX / PAGE_FAMILIES)
    );
    let names: Vec<&str> = first
        .families
        .iter()
        .take(6)
        .map(|family| family.0)
        .collect();
    let expected = [
        "f000999", "f001999", "f002999", "f003999", "f004999", "f000000",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        list(&view, &query.with_page(first.pages)).families.len(),
        PAGE_FAMILIES
    );
    assert_eq!(
        list(&view, &query.with_page(first.pages + 1))
            .families
            .len(),
        0
    );
    assert_eq!(list(&view, &query.with_page(usize::MAX)).families.len(), 0);
    let by_name = Query::default();
    assert_eq!(
        list(&view, &by_name).pages,
        families.div_ceil(PAGE_FAMILIES)
    );
}

/// All texts as long as they may be, of the characters that take most.
#[test]
fn a_page_is_never_too_long() {
    for character in ["'", "\u{1}", "\u{202e}", "\u{e0041}", "\u{1f600}", "\\"] {
        let long = character.repeat(5_000);
        let overview = overview(&mut Random::new(4), &long);
        let value = escaped(&long);
        let gateway = Gateway::default();
        let mut body = String::new();
        for number in 0..PAGE_FAMILIES {
            let name = format!("{}{number}", "n".repeat(500));
            let _ = write!(body, "# HELP {name} {value}\n{name} 1\n");
        }
        let _ = writeln!(body, "# HELP h {}\n# TYPE h histogram", value.repeat(20));
        for series in 0..100 {
            let labels = (0..40).fold(format!("s=\"{series}\""), |mut labels, label| {
                let _ = write!(labels, ",{}{label}=\"{value}\"", "l".repeat(50));
                labels
            });
            for bound in 0..200 {
                let _ = writeln!(
                    body,
                    "h_bucket{{{labels},le=\"{bound}.12345678901\"}} {bound}"
                );
            }
            let _ = writeln!(body, "h_bucket{{{labels},le=\"+Inf\"}} 1e18");
            gateway.push_text("", body.as_bytes()).expect("it is valid");
            body = "# TYPE h histogram\n".to_owned();
            if series > 2 && character != "'" {
                break;
            }
        }
        let query = Query {
            search: "\u{e0041}".repeat(64),
            family: Some("h".to_owned()),
            ..Query::default()
        };
        let all = Query {
            search: String::new(),
            ..query.clone()
        };
        for query in [query, all] {
            let rendered = render(&gateway.view(), &overview, &query);
            for (length, what) in [(rendered.html.len(), "html"), (rendered.json.len(), "json")] {
                assert!(length < PAGE_BYTES_MAX - 1024, "{what}: {length} bytes");
            }
            Html::read(&rendered.html);
            Json::read(&rendered.json);
        }
    }
}

#[test]
fn nothing_is_stored() {
    let gateway = Gateway::in_memory(Rules::default(), Start::default());
    let rendered = render(&gateway.view(), &Overview::default(), &Query::default());
    let page = Html::read(&rendered.html);
    assert!(
        page.texts
            .iter()
            .any(|text| text.contains("Nothing is stored"))
    );
    assert_eq!(
        Json::read(&rendered.json).at(&["family_list"]),
        &Json::Array(vec![])
    );
}
