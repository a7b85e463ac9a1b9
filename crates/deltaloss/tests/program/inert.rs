//! A report over a corpus that wants to run scripts: what a browser makes of it. Needs Chromium; skipped, and said so, without.

use std::process::{Command, Stdio};

use super::*;

use server::{Server, whole};

/// Chromium, or another browser of its kind that `CHROMIUM` names.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual =
        ["chromium", "chromium-browser", "google-chrome"].map(|name| PathBuf::from("/usr/bin").join(name));
    named.into_iter().chain(usual).find(|path| path.exists())
}

/// What the browser has of a page once its scripts had their time.
fn dom(browser: &Path, folder: &Path, page: &Path) -> String {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
        ])
        .args(["--virtual-time-budget=4000", "--dump-dom", &profile, &format!("file://{}", page.display())])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Ways to get a script run or something loaded, from within text, attributes, comments, scripts, styles and figures.
fn attacks(address: &str) -> Vec<String> {
    let act =
        format!("document.documentElement.setAttribute('data-ran','yes');new Image().src='{address}/ran'");
    vec![
        format!("<script>{act}</script>"),
        format!("</script><script>{act}</script>"),
        format!("</style></title></textarea><img src=x onerror=\"{act}\">"),
        format!("\"><svg onload=\"{act}\"><image href=\"{address}/svg\"/></svg>"),
        format!("--><iframe srcdoc=\"<script>parent.{act}</script>\"></iframe>"),
        format!("]]><img src=\"{address}/img\"><link rel=stylesheet href=\"{address}/css\">"),
        format!("<a href=\"javascript:{act}\" autofocus onfocus=\"{act}\">x</a>"),
        format!("<meta http-equiv=refresh content=\"0;url={address}/refresh\"><base href=\"{address}/\">"),
        format!("[x](javascript:{act}) ![y]({address}/markdown) `</code><script>{act}</script>"),
        format!(
            "\u{202e}\u{2066}<b>right to left</b>\u{2069}\u{200f}\u{feff} {address}/bidi \u{0}\u{1b}]0;title\u{7}"
        ),
        format!("=HYPERLINK(\"{address}/csv\")\n@import url({address}/import);"),
    ]
}

#[test]
fn a_corpus_full_of_scripts_runs_none_and_asks_for_nothing() {
    let Some(browser) = chromium() else {
        eprintln!("SKIPPED: there is no Chromium here; name one with CHROMIUM");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let server = Server::start(|_| whole(b"<svg xmlns='http://www.w3.org/2000/svg'/>"));
    let attacks = attacks(&server.address);

    // The trap works: a page that is not inert is found out.
    std::fs::write(path.join("control.html"), format!("<!doctype html><title>x</title>{}", attacks[0]))
        .unwrap();
    let control = dom(&browser, path, &path.join("control.html"));
    assert!(control.contains("data-ran=\"yes\""), "the browser runs no script at all: {control}");
    assert_eq!(server.of("/ran").len(), 1);

    // Names, texts and labels are attacks; every model's name too.
    let rows: String = (0..24)
        .map(|i| {
            let attack = &attacks[i % attacks.len()];
            let text = format!("{}\n)]}}\n", attacks[(i + 3) % attacks.len()]).repeat(2);
            serde_json::json!({"text": text, "name": format!("../{attack}/{i}")}).to_string() + "\n"
        })
        .collect();
    std::fs::write(path.join("corpus.jsonl"), rows).unwrap();
    for (model, out, name) in
        [("dense", "a", &attacks[1]), ("dense-small", "b", &attacks[2]), ("dense-twin", "c", &attacks[3])]
    {
        let (model, name) = (format!("builtin:{model}"), name.replace('\0', ""));
        let call = [
            "score",
            "--model",
            &model,
            "--corpus",
            "corpus.jsonl",
            "--name-column",
            "name",
            "--name",
            &name,
            "--out",
            out,
        ];
        succeeds(path, &call);
    }
    let label = format!("a={}", attacks[4]);
    let call = ["compare", "--a", "a", "--b", "b", "--placebo", "c", "--label", &label, "--out", "out"];
    let said = succeeds(path, &call);
    assert!(!said.contains('\u{1b}') && !said.contains('\0'), "{said:?}");

    let asked = server.requests().len();
    let page = path.join("out/report.html");
    let shown = dom(&browser, path, &page);
    assert!(
        shown.contains("</html>") && shown.contains("Closing brackets"),
        "{}",
        &shown[..shown.len().min(2000)]
    );
    // As text it is shown, in the page's own tag it is not.
    assert!(shown.contains("data-ran&#39;") || shown.contains("data-ran'"), "the attacks are not even shown");
    assert!(!shown.contains("data-ran=\"yes\""), "a script of the corpus ran");
    let requests = server.requests();
    assert_eq!(requests.len(), asked, "{:?}", &requests[asked..]);
    // Nor do the figures on their own, each opened as a page.
    for figure in std::fs::read_dir(path.join("out/figures")).unwrap() {
        let figure = figure.unwrap().path();
        if figure.extension().is_some_and(|extension| extension == "png") {
            continue;
        }
        let shown = dom(&browser, path, &figure);
        assert!(shown.contains("<svg") && !shown.contains("data-ran=\"yes\""), "{}", figure.display());
    }
    let requests = server.requests();
    assert_eq!(requests.len(), asked, "{:?}", &requests[asked..]);
}
