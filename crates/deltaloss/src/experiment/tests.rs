//! What experiment files may say, and their copies.

use super::render::Used;
use super::*;

const LEAST: &str = "[corpus]\nsource = \"c\"\n[models.a]\nsource = \"x\"\n[models.b]\nsource = \"y\"\n";

fn read(text: &str) -> Result<Experiment, String> {
    Experiment::from_toml(text, "some/study.toml").map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_is_as_on_the_command_line() {
    let experiment = read(LEAST).unwrap();
    assert_eq!(experiment.output(), Path::new("deltaloss-study"));
    assert_eq!(experiment.cast().len(), 2);
    let options = experiment.score_options(Role::A, &experiment.models.a, 256);
    assert_eq!((options.mode, options.context, options.calibrate), (WindowMode::Chunk, None, true));
    assert_eq!(experiment.statistics(), Options::default());
}

#[test]
fn a_models_own_window_stands_in_for_the_tables() {
    let text = format!(
        "{LEAST}context = 64\n[window]\nmode = \"slide\"\ncontext = 100\nbeginning_of_text = true\n[oracle]\nsource = \"z\"\n"
    );
    let experiment = read(&text).unwrap();
    let options = |role: Role| {
        let cast = experiment.cast();
        let (_, model) = cast.iter().find(|(of, _)| *of == role).unwrap();
        experiment.score_options(role, model, 256)
    };
    assert_eq!(options(Role::A).mode, WindowMode::Slide { stride: 50 });
    assert_eq!(
        (options(Role::B).mode, options(Role::B).context),
        (WindowMode::Slide { stride: 32 }, Some(64))
    );
    assert_eq!(options(Role::A).beginning_of_text, Some(true));
    assert!(options(Role::A).calibrate && !options(Role::Oracle).calibrate);
    assert!(
        experiment.oracle.as_ref().unwrap().is_compact(Role::Oracle)
            && !experiment.models.a.is_compact(Role::A)
    );
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (text, message) in [
        ("outptu = \"x\"\n", "study.toml: unknown key `outptu`; the nearest known is `output` (line 1)"),
        ("[models.c]\nsource = \"x\"\n", "[models] unknown key `c`"),
        (
            "[models.placebo]\nsuorce = \"x\"\n",
            "[models.placebo] unknown key `suorce`; the nearest known is `source` (line 8)",
        ),
        ("[oracle]\nlabel = \"x\"\n", "[oracle] names neither a source"),
        ("[oracle]\nrun = \"x\"\nsource = \"y\"\n", "[oracle] names both"),
        ("[oracle]\nrun = \"x\"\ncontext = 3\n", "[oracle] context says how a model is scored"),
        ("[oracle]\nsource = \"x.gguf\"\ntokenizer = \"t\"\n", "a .gguf model has its own"),
        ("[oracle]\nsource = \"x\"\nlabel = \" \"\n", "[oracle] label is empty"),
        ("[window]\nstride = 3\n", "stride goes with mode"),
        ("[window]\nmode = \"chunks\"\n", "unknown variant `chunks`"),
        ("[window]\ncontext = -1\n", "line 8"),
        ("[analyses]\nlead = \"calibrated\"\ncalibrate = false\n", "needs calibrate"),
        ("[analyses]\nconfident_below_nats = [1.0, 0.5]\n", "confident_below_nats must be"),
        ("[analyses]\nuncertain_above_nats = []\n", "uncertain_above_nats must be"),
    ] {
        let text =
            if text.starts_with("outptu") { format!("{text}{LEAST}") } else { format!("{LEAST}{text}") };
        let error = read(&text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
    assert!(
        read("[corpus]\nsource = \"c\"\n[models.a]\nsource = \"x\"\n")
            .unwrap_err()
            .contains("missing field `b`")
    );
    assert!(
        read("[models.a]\nsource = \"x\"\n[models.b]\nsource = \"x\"\n").unwrap_err().contains("`corpus`")
    );
}

#[test]
fn the_copy_reads_back_as_the_same_experiment() {
    let text = "output = \"a \\\"b\\\" \\u007f\\n\"\n[corpus]\nsource = \"c\\\\d\"\nextensions = [\"py\", \"pyi\"]\nsample = 3\n\
        [window]\nmode = \"slide\"\nstride = 5\ncontext = 10\nbeginning_of_text = false\n\
        [models.a]\nsource = \"x\"\ntokenizer = \"t\"\ncompact = false\ncontext = 9\nbeginning_of_text = true\nlabel = \"Ä 'q'\"\n\
        [models.b]\nrun = \"r\"\nlabel = \"b\"\n\
        [oracle]\nsource = \"z.gguf\"\nlabel = \"o\"\ngpu_layers = 3\nbatch = 64\nweights = \"stored\"\ncompact = true\ncontext = 8\nbeginning_of_text = true\n\
        [analyses]\nrules = \"r.toml\"\nlead = \"calibrated\"\nseed = 7\nreplicates = 10\nconfident_below_nats = [0.5, 1]\n";
    let experiment = read(text).unwrap();
    let copy = experiment.render(&[]);
    assert_eq!(read(&copy).unwrap_or_else(|error| panic!("{copy}\n{error}")), experiment, "{copy}");
    // What the scoring found out is written down.
    let used = [(Role::A, Used { label: "found".into(), window: Some((128, true)) })];
    let copy = read(&read(LEAST).unwrap().render(&used)).unwrap();
    assert_eq!((copy.models.a.context, copy.models.a.beginning_of_text), (Some(128), Some(true)));
    assert_eq!(copy.models.a.label.as_deref(), Some("found"));
}

#[test]
fn every_key_of_the_structs_is_known() {
    // A key that serde reads and the table of known ones lacks would be refused; one that only the table has, ignored.
    let experiment = read(LEAST).unwrap();
    let copy = experiment.render(&[]);
    for (table, keys) in KEYS {
        let text = match table {
            "" | "models" | "models.benchmark" | "models.placebo" | "oracle" => continue,
            table => copy.split(&format!("\n[{table}]\n")).nth(1).unwrap().split("\n[").next().unwrap(),
        };
        let gguf_only = ["gpu_layers", "batch", "weights", "run"];
        for key in keys.iter().filter(|key| !gguf_only.contains(key)) {
            assert!(
                text.lines()
                    .any(|line| line.starts_with(&format!("{key} = "))
                        || line.starts_with(&format!("# {key}: "))),
                "[{table}] {key}: {text}"
            );
        }
    }
}

#[test]
fn the_experiments_of_the_repository_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let post = Experiment::open(&folder.join("post.toml")).unwrap();
    let sources: Vec<_> =
        post.cast().iter().map(|(role, model)| (role.name(), model.source.clone().unwrap())).collect();
    assert_eq!(sources[0], ("a", "csp:csp_yolo1".into()));
    assert_eq!(sources[1], ("b", "csp:dense1_2x".into()));
    assert_eq!(sources[2], ("benchmark", "csp:dense1_1x".into()));
    assert_eq!(sources[3].0, "oracle");
    assert!(post.corpus.source.contains("codeparrot/apps"));
}
