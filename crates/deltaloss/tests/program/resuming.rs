//! `score` after a kill, beside another process, on a full disk, and in shards: always the same run, or nothing.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;

const CORPUS: [&str; 4] = ["--corpus", "builtin:python-stdlib", "--sample", "24"];

fn call<'a>(model: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["score", "--model", model], &CORPUS[..], &["--out", out], more].concat()
}

/// The same over fewer documents.
fn few<'a>(model: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut call = call(model, out, more);
    call.iter_mut().filter(|word| **word == "24").for_each(|word| *word = "8");
    call
}

fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_deltaloss"))
        .current_dir(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// `run.json` without what the clock and the machine's threads say.
fn timeless(run: &Path) -> serde_json::Value {
    let mut info = json(&run.join("run.json"));
    for pointer in
        ["/elapsed_seconds", "/tokens_per_second", "/calibration/elapsed_seconds", "/engine/threads"]
    {
        if let Some(value) = info.pointer_mut(pointer) {
            *value = serde_json::Value::Null;
        }
    }
    info
}

#[track_caller]
fn assert_same_run(folder: &Path, one: &str, other: &str) {
    let (one, other) = (folder.join(one), folder.join(other));
    assert_eq!(timeless(&one), timeless(&other));
    assert_eq!(names(&one), names(&other));
    for table in ["tokens.parquet", "documents.parquet"] {
        let read = |run: &Path| std::fs::read(run.join(table)).unwrap();
        assert!(read(&one) == read(&other), "{table} of {} and {}", one.display(), other.display());
    }
}

/// How many parts of a scoring are finished.
fn parts(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| {
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
        entries
            .map(|entry| name(entry.unwrap()))
            .filter(|n| n.starts_with("part-") && n.ends_with("json"))
            .count()
    })
}

/// Waits until so many parts are finished; false if the process ended before.
fn wait_for_parts(child: &mut Child, folder: &Path, due: usize) -> bool {
    loop {
        if parts(folder) >= due {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn killed_at_many_moments_it_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &call("builtin:dense-small", "whole", &[]));
    let resumed = call("builtin:dense-small", "deep/killed", &["--part-seconds", "0.02"]);
    let scoring = path.join("deep/killed.scoring");
    // Moments from a fixed stream (SplitMix64's constants), up to a second from the start: in the survey, in the calibration, in the
    // middle of parts, between their files.
    let (mut state, mut kills, mut with_parts) = (7u64, 0, 0);
    for _ in 0..40 {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let mut child = start(path, &resumed);
        std::thread::sleep(Duration::from_millis(state >> 54));
        let finished = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        if finished {
            break;
        }
        kills += 1;
        with_parts += usize::from(parts(&scoring) > 0);
        assert!(!path.join("deep/killed/run.json").exists() || !scoring.join("plan.json").exists());
    }
    assert!(kills >= 2, "{kills}");
    // And twice when there surely is something to go on from.
    if !path.join("deep/killed").exists() {
        for _ in 0..2 {
            let mut child = start(path, &resumed);
            if wait_for_parts(&mut child, &scoring, parts(&scoring) + 1) {
                with_parts += 1;
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let output = deltaloss(path, &resumed);
        let said = String::from_utf8(output.stderr).unwrap();
        if !path.join("deep/killed").exists() {
            panic!("{said}");
        }
    }
    assert!(with_parts > 0, "no kill came after a part");
    assert_same_run(path, "whole", "deep/killed");
    assert_eq!(names(&path.join("deep")), ["killed"]);
}

#[test]
fn it_says_that_it_goes_on_and_from_a_signal_that_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &call("builtin:dense", "whole", &["--compact"]));
    let resumed = call("builtin:dense", "run", &["--compact", "--part-seconds", "0.01"]);
    let mut child = start(path, &resumed);
    assert!(wait_for_parts(&mut child, &path.join("run.scoring"), 2));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("is kept in") && said.contains("run.scoring, and the same command goes on"),
        "{said}"
    );
    assert_eq!(names(path), ["run.scoring", "whole"]);

    // Another scoring does not go on from there, and removes nothing unasked.
    let other = call("builtin:dense", "run", &["--context", "100"]);
    let message = fails(path, &other, 1);
    assert!(
        message.contains("run.scoring holds finished parts") && message.contains("the windows are others"),
        "{message}"
    );
    let message = fails(path, &call("builtin:dense-twin", "run", &[]), 1);
    assert!(message.contains("the model is another"), "{message}");

    let output = deltaloss(path, &resumed);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("going on from what was scored before"), "{said}");
    assert_same_run(path, "whole", "run");
    assert_eq!(names(path), ["run", "whole"]);
}

#[test]
fn a_damaged_part_is_named_and_overwriting_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let resumed = call("builtin:dense", "run", &["--part-seconds", "0.01"]);
    let scoring = path.join("run.scoring");
    let mut child = start(path, &resumed);
    assert!(wait_for_parts(&mut child, &scoring, 2));
    child.kill().unwrap();
    child.wait().unwrap();
    let part = scoring.join("part-000001.parquet");
    let whole = std::fs::read(&part).unwrap();
    std::fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    let message = fails(path, &resumed, 1);
    assert!(message.contains("part-000001.parquet: not a readable Parquet file"), "{message}");
    // The first part's rows under the second's name.
    std::fs::copy(scoring.join("part-000000.parquet"), &part).unwrap();
    let message = fails(path, &resumed, 1);
    assert!(message.contains("part-000001.parquet: a row of document 0 out of order"), "{message}");
    // A plan that says nothing, one of another version with other entries, and one that is cut.
    for plan in ["{}", r#"{"schema": "deltaloss.scoring/99", "plan": 7}"#, "{\"schema\""] {
        std::fs::write(scoring.join("plan.json"), plan).unwrap();
        let message = fails(path, &resumed, 1);
        assert!(message.contains("its plan.json is of another version, or damaged"), "{message}");
        assert!(message.contains("--overwrite"), "{message}");
    }
    succeeds(path, &[&resumed[..], &["--overwrite"]].concat());
    succeeds(path, &call("builtin:dense", "whole", &[]));
    assert_same_run(path, "whole", "run");
}

#[test]
fn a_second_process_on_the_same_output_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let long = call("builtin:dense", "run", &["--part-seconds", "0.01"]);
    let mut first = start(path, &long);
    while !path.join("run.scoring/lock").exists() {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    for more in [&[][..], &["--overwrite"]] {
        let output = deltaloss(path, &[&long[..], more].concat());
        if first.try_wait().unwrap().is_some() {
            break;
        }
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("run is being written by another process of deltaloss"), "{message}");
        assert_eq!(output.status.code(), Some(1));
    }
    assert!(first.wait().unwrap().success());
    succeeds(path, &call("builtin:dense", "whole", &[]));
    assert_same_run(path, "whole", "run");
}

#[test]
fn a_second_comparison_or_experiment_into_the_same_folder_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for model in ["builtin:sparse", "builtin:dense-small"] {
        succeeds(path, &few(model, model.trim_start_matches("builtin:"), &["--quiet"]));
    }
    let study = "[corpus]\nsource = \"builtin:python-stdlib\"\nsample = 8\n[models.a]\nsource = \"builtin:sparse\"\n\
                 [models.b]\nsource = \"builtin:dense-small\"\n[analyses]\ncalibrate = false\n";
    std::fs::write(path.join("study.toml"), study).unwrap();
    let compare = ["compare", "--a", "sparse", "--b", "dense-small", "--out", "out"];
    for first in [&compare[..], &["run", "study.toml", "--out", "out", "--no-cache"]] {
        let mut child = start(path, first);
        while !path.join(".out.partial/lock").exists() {
            assert!(child.try_wait().unwrap().is_none(), "{first:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        // It stands still in the middle of its work, so that what the second says is said at once.
        let signal = |name: &str| {
            let killed = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
            assert!(killed.success());
        };
        signal("-STOP");
        for second in [&compare[..], &["run", "study.toml", "--out", "out", "--overwrite"]] {
            let message = fails(path, second, 1);
            assert!(message.contains("out is being written by another process of deltaloss"), "{message}");
        }
        assert!(!path.join("cache/runs").exists(), "a second process scored before it asked");
        signal("-CONT");
        assert!(child.wait().unwrap().success(), "{first:?}");
        assert_eq!(names(path).iter().filter(|name| name.starts_with('.')).count(), 0, "{:?}", names(path));
        std::fs::remove_dir_all(path.join("out")).unwrap();
    }

    // What a killed one leaves is no hindrance, and does not stay.
    let mut child = start(path, &["run", "study.toml", "--out", "out", "--no-cache"]);
    while !path.join(".out.partial/lock").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(path.join(".out.partial").exists() && !path.join("out").exists());
    succeeds(path, &compare);
    assert!(path.join("out/results.json").exists() && !path.join(".out.partial").exists());
}

/// Needs a file system of its own, which takes a user namespace: skipped, and said so, where there is none.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_it_and_it_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &call("builtin:dense", "whole", &[]));
    let size = ["tokens.parquet", "documents.parquet"]
        .map(|table| std::fs::metadata(path.join("whole").join(table)).unwrap().len())
        .iter()
        .sum::<u64>();
    std::fs::create_dir(path.join("small")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={}k none small || exit 77\n\
         \"$@\" 2> first; echo $? > code; ls -A small > left\n\
         mount -o remount,size=64m small || exit 77\n\
         \"$@\" 2> second || exit 1\n\
         ls -A small > after; cp -r small/run out",
        size * 3 / 2 / 1024
    );
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_deltaloss")]);
    shell.args(call("builtin:dense", "small/run", &["--part-seconds", "0.01"])).current_dir(path);
    let output = match shell.output() {
        Ok(output) if output.status.code() == Some(77) || !path.join("code").exists() => {
            eprintln!(
                "SKIPPED: no file system can be mounted here: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            return;
        }
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: no unshare here: {error}");
            return;
        }
    };
    let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
    assert!(output.status.success(), "{}{}", read("first"), read("second"));
    assert_eq!(read("code"), "1\n", "{}", read("first"));
    assert!(read("first").contains("No space left on device"), "{}", read("first"));
    assert!(!read("first").contains("panicked"), "{}", read("first"));
    assert_eq!(read("left"), "run.scoring\n");
    assert!(read("second").contains("going on from what was scored before"), "{}", read("second"));
    assert_eq!(read("after"), "run\n");
    assert_same_run(path, "whole", "out");
}

#[test]
fn any_sharding_gives_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let model = "builtin:dense-small";
    succeeds(path, &few(model, "whole", &[]));
    succeeds(path, &few(model, "compact", &["--compact"]));
    // More shards than documents, too: some are empty.
    for of in [1u32, 3, 10] {
        let shard = |index: u32| format!("shards-{of}/{index}");
        for index in (1..=of).rev() {
            let (out, which) = (shard(index), format!("{index}/{of}"));
            let first = shard(of);
            let taken = ["--temperature-of", &first];
            // The first fits the temperature; with three shards each does.
            let more: &[&str] = if of == 3 || index == of { &[] } else { &taken };
            succeeds(path, &few(model, &out, &[&["--shard", &which, "--quiet"], more].concat()));
        }
        // In any order.
        let shards: Vec<String> = (1..=of).map(shard).collect();
        let shards: Vec<&str> = shards.iter().map(String::as_str).rev().collect();
        let merged = format!("merged-{of}");
        succeeds(path, &[&["merge"], &shards[..], &["--out", &merged]].concat());
        assert_same_run(path, "whole", &merged);
        let merged = format!("compact-{of}");
        succeeds(path, &[&["merge"], &shards[..], &["--out", &merged, "--compact"]].concat());
        assert_same_run(path, "compact", &merged);
    }
    // They differ little in size.
    let tokens =
        |index| json(&path.join(format!("shards-3/{index}/run.json")))["totals"]["tokens"].as_u64().unwrap();
    let all: u64 = (1..=3).map(tokens).sum();
    assert!((1..=3).all(|index| tokens(index) > all / 5), "{:?}", [tokens(1), tokens(2), tokens(3)]);

    let merge = |shards: &[&str]| fails(path, &[&["merge", "--out", "x"], shards].concat(), 1);
    let message = merge(&["shards-3/1", "shards-3/3"]);
    assert!(message.contains("1 of 3 are missing: 2/3"), "{message}");
    assert!(merge(&["shards-3/1", "shards-3/1", "shards-3/2"]).contains("shard 1 is given twice"));
    assert!(merge(&["shards-3/1", "shards-10/2"]).contains("different corpora, or numbers of shards"));
    assert!(merge(&["whole"]).contains("whole is a whole run"));
    succeeds(path, &few(model, "plain-2", &["--shard", "2/3", "--no-calibrate"]));
    let message = merge(&["shards-3/1", "plain-2", "shards-3/3"]);
    assert!(
        message.contains("different temperatures; give all that of one, with --temperature-of"),
        "{message}"
    );
    let message = fails(path, &few("builtin:dense", "y", &["--temperature-of", "whole"]), 1);
    assert!(message.contains("has other model than what is scored here"), "{message}");
    let message = fails(path, &few(model, "y", &["--shard", "4/3"]), 2);
    assert!(message.contains("not I/N"), "{message}");
    let message = fails(path, &few(model, "y", &["--shard", "1/3", "--compact"]), 2);
    assert!(message.contains("--compact goes with `deltaloss merge`"), "{message}");
    assert!(!path.join("x").exists() && !path.join("y").exists());
}

#[test]
fn a_document_that_fails_stops_it_or_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let score = |out: &str, more: &[&str]| {
        let call =
            ["score", "--model", "model", "--tokenizer", "builtin:pycode_2k", "--no-calibrate", "--out", out];
        deltaloss(path, &[&call[..], &["--corpus", "builtin:python-stdlib", "--sample", "12"], more].concat())
    };
    let said = |output: Output| String::from_utf8(output.stderr).unwrap();
    // Logits so large that in some documents, but not in all, one is no f32 any more: found by halving.
    let (mut none_fail, mut all_fail) = (1e37f32, 3e37f32);
    let some_fail = (0..30).find(|_| {
        let factor = (none_fail + all_fail) / 2.0;
        sharpen::sharpen("builtin:dense-small", factor, &path.join("model")).unwrap();
        let output = score("some", &["--keep-going", "--overwrite"]);
        let (scored, said) = (output.status.success(), said(output));
        match (scored, said.contains("FAILED")) {
            (true, true) => return true,
            (true, false) => none_fail = factor,
            (false, _) => all_fail = factor,
        }
        false
    });
    assert!(some_fail.is_some(), "no factor makes some documents fail");
    let info = json(&path.join("some/run.json"));
    let failures = info["failures"].as_array().unwrap();
    assert!((1..12).contains(&failures.len()) && info["corpus"]["documents"] == 12, "{failures:?}");
    assert!(info["totals"]["mean_loss_nats"].as_f64().unwrap().is_finite());

    // Without leave it stops at the first, by name.
    let output = score("none", &[]);
    assert_eq!(output.status.code(), Some(1));
    let (message, first) = (said(output), &failures[0]);
    let place = format!(
        "token {} of document `{}` is not finite",
        first["position"],
        first["name"].as_str().unwrap()
    );
    assert!(message.contains(&place) && message.contains("--keep-going"), "{message}");
    assert!(!path.join("none").exists());

    // In shards and after a kill they are the same failures.
    for index in ["1", "2"] {
        let shard = format!("{index}/2");
        assert!(score(index, &["--keep-going", "--shard", &shard]).status.success());
    }
    succeeds(path, &["merge", "1", "2", "--out", "merged"]);
    assert_same_run(path, "some", "merged");

    // The report counts them, and of the others every token is there.
    let call = [
        "score",
        "--model",
        "builtin:dense",
        "--corpus",
        "builtin:python-stdlib",
        "--sample",
        "12",
        "--out",
        "dense",
    ];
    succeeds(path, &call);
    succeeds(path, &["compare", "--a", "some", "--b", "dense", "--out", "out"]);
    let report = std::fs::read_to_string(path.join("out/report.md")).unwrap();
    let counted =
        if failures.len() == 1 { "1 document".to_owned() } else { format!("{} documents", failures.len()) };
    assert!(report.contains(&format!("model failed on {counted}")), "{counted}: {report}");
    let results = json(&path.join("out/results.json"));
    assert_eq!(results["setup"]["tokens"], info["totals"]["tokens"]);
}

#[test]
fn an_experiment_that_was_killed_goes_on_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let text = "[corpus]\nsource = \"builtin:python-stdlib\"\nsample = 12\n[models.a]\nsource = \"builtin:sparse\"\n\
                [models.b]\nsource = \"builtin:dense-small\"\n[analyses]\ncalibrate = false\n";
    std::fs::write(path.join("study.toml"), text).unwrap();
    let runs = path.join("cache/runs");
    // Killed once something is kept: its place is not known before.
    let mut child = Command::new(env!("CARGO_BIN_EXE_deltaloss"))
        .current_dir(path)
        .args(["run", "study.toml", "--threads", "1"])
        .env("DELTALOSS_CACHE", path.join("cache"))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let scoring = loop {
        let found = std::fs::read_dir(&runs).into_iter().flatten().map(|entry| entry.unwrap().path());
        if let Some(scoring) = found.into_iter().find(|path| path.extension().is_some_and(|e| e == "scoring"))
        {
            break scoring;
        }
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(wait_for_parts(&mut child, &scoring, 1), "nothing was kept before it ended");
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = parts(&scoring);
    assert!(kept > 0 && !path.join("deltaloss-study").exists());
    succeeds(path, &["run", "study.toml"]);
    assert!(!scoring.exists() && scoring.with_extension("").join("run.json").exists());
    succeeds(path, &["run", "study.toml", "--no-cache", "--out", "whole"]);
    let results = |out: &str| json(&path.join(out).join("results.json"))["all"].clone();
    assert_eq!(results("deltaloss-study"), results("whole"));
    assert_same_run(path, "deltaloss-study/runs/sparse", "whole/runs/sparse");
}
