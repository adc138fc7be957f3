//! A typed call of a dispatch table compiles to the same instructions as a handwritten call.

use std::collections::HashMap;

/// The instructions of the functions in two files of the folder `dispatch`, built like the drivers of the comparison.
#[test]
fn a_typed_call_compiles_to_the_raw_call() {
    let typed = functions(&assembly("wsk_cost_typed"));
    let raw = functions(&assembly("wsk_cost_raw"));
    for name in ["send_to", "send_to_with_control"] {
        let (typed, raw) = (&typed[name], &raw[name]);
        assert!(
            raw.iter()
                .any(|line| line.contains("call") || line.starts_with("jmp")),
            "{name} calls nothing: {raw:#?}"
        );
        assert_eq!(typed, raw, "{name}");
    }
}

/// The comparison notices a difference, and nothing else.
#[test]
fn names_and_places_of_labels_do_not_count_and_instructions_do() {
    let one =
        functions("f:\n\t.cfi_startproc\n\ttestq\t%rax, %rax\n\tje\t.LBB0_2\n.LBB0_2:\n\tretq\n");
    let other = functions("f:\n\ttestq %rax, %rax # why\n\tje .LBB7_1\n.LBB7_1:\n\tretq\n");
    let third = functions("f:\n\ttestq\t%rax, %rbx\n\tje\t.LBB0_2\n.LBB0_2:\n\tretq\n");
    assert_eq!(one["f"], other["f"]);
    assert_ne!(one["f"], third["f"]);
}

/// The assembly of one of the examples.
fn assembly(example: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("{example}.s"));
    let output = wsk_cost::cargo("rustc")
        .args(["--profile", "cost", "--example", example, "--"])
        .args(["-C", "opt-level=3", "-C", "codegen-units=1"])
        .arg(format!("--emit=asm={}", file.display()))
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read_to_string(&file).expect("the compiler has written the assembly")
}

/// The instructions of each function, with labels numbered in the order of their appearance.
fn functions(assembly: &str) -> HashMap<String, Vec<String>> {
    let mut functions = HashMap::new();
    let (mut name, mut lines, mut labels) = (String::new(), Vec::new(), HashMap::new());
    for line in assembly.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let label = line.strip_suffix(':');
        if let Some(function) = label.filter(|label| !label.starts_with('.')) {
            let finished = std::mem::take(&mut lines);
            functions.insert(std::mem::replace(&mut name, function.to_owned()), finished);
            labels.clear();
        } else if line.starts_with(".L") && label.is_none()
            || line.is_empty()
            || line.starts_with('.') && label.is_none()
            || label.is_some_and(|label| !label.starts_with(".LBB"))
        {
            // Skips directives, and labels of data and debug information.
        } else {
            lines.push(renamed(&line, &mut labels));
        }
    }
    functions.insert(name, lines);
    functions
}

/// A line with its labels numbered.
fn renamed(line: &str, labels: &mut HashMap<String, usize>) -> String {
    let mut result = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(".L") {
        let (before, label) = rest.split_at(start);
        let end = label[2..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (label, after) = label.split_at(end.map_or(label.len(), |end| end + 2));
        let next = labels.len();
        let number = *labels.entry(label.to_owned()).or_insert(next);
        result.push_str(before);
        result.push_str("label");
        result.push_str(&number.to_string());
        rest = after;
    }
    result + rest
}
