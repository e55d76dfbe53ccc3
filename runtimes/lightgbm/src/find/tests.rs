use super::*;

/// What is found in an artifact with these files: a name, or an error.
fn found(files: &[(&str, &[u8])]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    // Directories are no model files, and neither is what is in them.
    let below = folder.path().join("code");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("other.txt"), "tree\nversion=v4\n").unwrap();
    model_file(folder.path())
        .map(|path| name(&path))
        .map_err(|error| error.message().to_owned())
}

#[test]
fn the_model_is_told_by_its_content() {
    for name in ["model.txt", "lightgbm_model.txt", "booster.lgb", "model"] {
        let files: [(&str, &[u8]); 4] = [
            (name, b"tree\nversion=v4\n"),
            ("modelcell.toml", b"runtime = \"lightgbm\"\n"),
            ("notes.txt", b"trees\n"),
            (".hidden.txt", b"tree\n"),
        ];
        assert_eq!(found(&files).as_deref(), Ok(name));
    }
    assert_eq!(
        found(&[("windows.txt", b"tree\r\nversion=v4\r\n")]).as_deref(),
        Ok("windows.txt")
    );
}

#[test]
fn several_models_are_named() {
    assert_eq!(
        found(&[("b.txt", b"tree\n"), ("a.txt", b"tree\n"), ("c.txt", b"")]).unwrap_err(),
        "there are several LightGBM models, and an artifact holds one: a.txt, b.txt"
    );
}

#[test]
fn what_must_be_saved_again_is_named_with_how() {
    let how = "save the model as text with booster.save_model(\"model.txt\"), or with \
               model.booster_.save_model(\"model.txt\") if it is a scikit-learn wrapper";
    let heads: [&[u8]; 6] = [
        b"\x80\x04\x95",
        b"\x80\x05",
        b"\x78\x9c..",
        b"\x1f\x8b\x08",
        b"BZh9",
        b"\xfd7zXZ",
    ];
    for head in heads {
        assert_eq!(
            found(&[("model.pkl", head), ("readme.md", b"#")]).unwrap_err(),
            format!("model.pkl is a Python object, which only Python can read: {how}")
        );
    }
    let dump = b"{\n  \"name\": \"tree\",\n  \"version\": \"v4\"";
    assert_eq!(
        found(&[("model.json", dump), ("other.json", b"{}")]).unwrap_err(),
        format!("model.json is JSON as of dump_model, which LightGBM itself does not read: {how}")
    );
    // With a model beside them they do not matter.
    let files: [(&str, &[u8]); 2] = [("model.pkl", b"\x80\x04"), ("model.txt", b"tree\n")];
    assert_eq!(found(&files).as_deref(), Ok("model.txt"));
}

#[test]
fn without_a_model_the_files_are_named() {
    assert_eq!(
        found(&[("b.txt", b"tre"), ("a.json", b"{}")]).unwrap_err(),
        "there is no LightGBM model, a file whose first line is \"tree\", among the files of the artifact: \
         a.json, b.txt"
    );
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = model_file(Path::new("no/such/folder")).unwrap_err();
    assert!(error.message().starts_with("no/such/folder: "), "{error}");
}
