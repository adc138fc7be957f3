//! The entry points of fuzzing and of the property tests. They give any text to each of our readers, and check what must hold of
//! the results.

use crate::bind::run;
use crate::check::interface::Interface;
use crate::emit::function_macros;
use crate::emit::output::Output;
use crate::find::kit::Version;
use crate::find::ntddi;
use crate::read::facts::{FunctionMacro, Origin};
use crate::read::macros::{Constant, Constants, call_name};
use crate::read::{directives, sal};

/// Reads `data` with each reader of text.
///
/// # Panics
///
/// When a result breaks a rule. The tests look for that.
pub fn text(data: &[u8]) {
    let text = directives::decode(data);
    let lines = text.lines().count();
    let since = directives::conditions(&text);
    assert_eq!(since.len(), lines, "one condition for each line");
    for version in since.into_iter().flatten() {
        assert!(!version.is_empty() && !version.contains(char::is_whitespace));
    }
    for directive in directives::directives(&text) {
        assert!(directive.line < lines && !directive.name.is_empty());
    }
    for define in directives::defines(&text) {
        assert!(!define.name.is_empty());
        translate(
            &define.name,
            define.parameters.unwrap_or_default(),
            define.body,
        );
    }
    let annotations = [text.clone()];
    let _ = sal::irql(&annotations);
    let _ = sal::direction(&annotations);
    if let Ok(tokens) = sal::tokens(&annotations) {
        assert!(
            syn::parse2::<syn::Expr>(tokens).is_ok(),
            "an understood annotation is a word or a call"
        );
    }
    for name in run::undeclared(&text) {
        assert!(syn::parse_str::<syn::Ident>(name).is_ok());
    }
    let _ = ntddi::parse(&text);
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    translate("MACRO", vec!["a".to_owned(), "b".to_owned()], text.clone());
    let output = Output::of("all.rs", &text);
    let _ = Interface::of_output(&output);
}

fn translate(name: &str, parameters: Vec<String>, body: String) {
    let function = FunctionMacro {
        origin: Origin::default(),
        parameters,
        body,
    };
    let value = Constant {
        value: 0,
        size: 4,
        signed: true,
        c_type: "int".to_owned(),
    };
    let constants = Constants::from([(call_name(name, 0), value)]);
    if let Ok(translated) = function_macros::translate(name, &function, &constants) {
        let parsed = syn::parse2::<syn::Expr>(translated.body.clone());
        assert!(parsed.is_ok(), "{}", translated.body);
    }
}
