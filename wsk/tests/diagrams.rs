//! The diagrams of the guide can be read on a narrow page, and in dark and light.

#![allow(missing_docs)]

use std::fs;

/// What is wrong with the diagrams of a page.
fn diagrams(page: &str) -> Result<usize, String> {
    let mut count = 0;
    for figure in page.split("<figure").skip(1) {
        count += 1;
        let (figure, _) = figure.split_once("</figure>").ok_or("no end")?;
        if figure.contains("\n\n") {
            return Err("an empty line, at which Markdown ends it".to_owned());
        }
        // A page of 400 pixels has room for so many units, so that text stays as large as it is.
        for needed in [
            "viewBox=\"0 0 360 ",
            "role=\"img\"",
            "aria-label=\"",
            "width:100%",
            "currentColor",
        ] {
            if !figure.contains(needed) {
                return Err(format!("{needed} is missing"));
            }
        }
        for size in figure.split("font-size=\"").skip(1) {
            let size = size
                .split('"')
                .next()
                .and_then(|size| size.parse::<u32>().ok());
            if size.is_none_or(|size| size < 12) {
                return Err(format!("text of size {size:?}"));
            }
        }
    }
    if page.contains('\u{2500}') {
        return Err("lines drawn with characters, which a narrow page cuts off".to_owned());
    }
    Ok(count)
}

#[test]
fn diagrams_can_be_read_on_narrow_pages() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide");
    let mut count = 0;
    for page in fs::read_dir(guide).unwrap() {
        let path = page.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        count += diagrams(&page).unwrap_or_else(|told| panic!("{}: {told}", path.display()));
    }
    assert_eq!(count, 5);
    let good = "<figure>\n<svg viewBox=\"0 0 360 9\" role=\"img\" aria-label=\"A line\" style=\"width:100%\" font-size=\"13\" \
        fill=\"currentColor\"/>\n</figure>\n";
    assert_eq!(diagrams(good), Ok(1));
    for (from, to) in [
        ("360", "900"),
        ("13", "9"),
        ("currentColor", "black"),
        ("\n<svg", "\n\n<svg"),
        ("</figure>", "\u{2500}"),
    ] {
        diagrams(&good.replace(from, to)).unwrap_err();
    }
}
