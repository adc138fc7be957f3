//! Writes function-like macros as functions: `MAKE_WSK_VERSION(Mj, Mn)` becomes a `const fn`. The macro's body is read as a C
//! expression and written as Rust, with C's promotions spelled out. The Rust code cannot panic.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::emit::constant_types;
use crate::read::facts::FunctionMacro;
use crate::read::macros::{Constants, SAMPLES, argument, call_name};

/// A macro as a function.
#[derive(Debug)]
pub(crate) struct Function {
    /// Parameters with their Rust types.
    pub parameters: Vec<(String, &'static str)>,
    /// The Rust type of the result.
    pub output: &'static str,
    /// The expression.
    pub body: TokenStream,
}

/// Translates a macro.
///
/// # Errors
///
/// When its body is not an expression of integers, or uses something that is not translated. The text says why.
pub(crate) fn translate(
    name: &str,
    function: &FunctionMacro,
    constants: &Constants,
) -> Result<Function, String> {
    let call = constants.get(&call_name(name, 0));
    let call = call.ok_or("it has no constant integer value when it is called with integers")?;
    let signature = constant_types::macro_signature(name);
    let output = signature.map_or_else(
        || constant_types::rust_type(name, call),
        |signature| signature.1,
    );
    let parameters: Vec<(String, &'static str)> = match signature {
        Some((inputs, _)) if inputs.len() == function.parameters.len() => function
            .parameters
            .iter()
            .cloned()
            .zip(inputs.iter().copied())
            .collect(),
        Some(_) => return Err("its parameters differ from those in constant_types.rs".to_owned()),
        None => function
            .parameters
            .iter()
            .map(|name| (name.clone(), "u32"))
            .collect(),
    };
    let mut parser = Parser {
        tokens: tokens(&function.body)?,
        at: 0,
        depth: 0,
        parameters: &parameters,
        constants,
    };
    let value = parser.binary(0)?;
    if parser.at != parser.tokens.len() {
        return Err(format!(
            "its body continues with `{}` after an expression",
            parser.peek()
        ));
    }
    let output_integer =
        Integer::of_rust(output).ok_or("the type of its value is not an integer")?;
    let body = value.to(output_integer).code;
    Ok(Function {
        parameters,
        output,
        body,
    })
}

/// Sample calls of a translated macro whose arguments fit its parameters, and their values as clang computes them.
#[must_use]
pub(crate) fn examples(
    name: &str,
    function: &Function,
    constants: &Constants,
) -> Vec<(String, String)> {
    let mut examples = Vec::new();
    let Some(output) = Integer::of_rust(function.output) else {
        return examples;
    };
    for (index, sample) in SAMPLES.iter().enumerate() {
        let arguments: Vec<u32> = (0..function.parameters.len())
            .map(|place| argument(*sample, place))
            .collect();
        let fit = arguments
            .iter()
            .zip(&function.parameters)
            .all(|(argument, (_, ty))| {
                let bits = Integer::of_rust(ty).map_or(0, |integer| integer.bits);
                bits >= 32 || *argument < 1 << bits
            });
        if let (true, Some(constant)) = (fit, constants.get(&call_name(name, index))) {
            let value = constant.value & ((1 << output.bits) - 1);
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| format!("{argument:#x}"))
                .collect();
            examples.push((
                format!("{name}({})", arguments.join(", ")),
                format!("{value:#x}"),
            ));
        }
    }
    examples
}

/// An integer type of C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Integer {
    bits: u32,
    signed: bool,
}

const INT: Integer = Integer {
    bits: 32,
    signed: true,
};

impl Integer {
    fn of_c(name: &str) -> Option<Self> {
        let (bits, signed) = match name {
            "UCHAR" | "UINT8" | "BYTE" | "BOOLEAN" => (8, false),
            "CHAR" | "INT8" => (8, true),
            "USHORT" | "UINT16" | "WORD" | "ADDRESS_FAMILY" => (16, false),
            "SHORT" | "INT16" => (16, true),
            "ULONG" | "ULONG32" | "UINT32" | "UINT" | "DWORD" | "unsigned" => (32, false),
            "LONG" | "INT32" | "INT" | "int" | "long" => (32, true),
            "ULONGLONG" | "ULONG64" | "UINT64" | "DWORD64" | "SIZE_T" | "ULONG_PTR"
            | "UINT_PTR" => (64, false),
            "LONGLONG" | "LONG64" | "INT64" | "LONG_PTR" | "INT_PTR" => (64, true),
            _ => return None,
        };
        Some(Self { bits, signed })
    }

    fn of_rust(name: &str) -> Option<Self> {
        let signed = name.starts_with('i');
        let bits = match name.get(1..)? {
            "8" => 8,
            "16" => 16,
            "32" => 32,
            "64" | "size" => 64,
            _ => return None,
        };
        Some(Self { bits, signed })
    }

    fn rust(self) -> TokenStream {
        match (self.bits, self.signed) {
            (8, true) => quote!(i8),
            (8, false) => quote!(u8),
            (16, true) => quote!(i16),
            (16, false) => quote!(u16),
            (32, true) => quote!(i32),
            (32, false) => quote!(u32),
            (_, true) => quote!(i64),
            (_, false) => quote!(u64),
        }
    }

    /// C computes at least in `int`.
    fn promoted(self) -> Self {
        if self.bits < 32 { INT } else { self }
    }

    /// The type in which an operator with two operands computes.
    fn common(self, other: Self) -> Self {
        let (a, b) = (self.promoted(), other.promoted());
        let bits = a.bits.max(b.bits);
        let unsigned = (a.bits == bits && !a.signed) || (b.bits == bits && !b.signed);
        Self {
            bits,
            signed: !unsigned,
        }
    }
}

/// An expression in Rust and its type.
struct Value {
    code: TokenStream,
    ty: Integer,
    /// Whether it can be an operand without parentheses.
    single: bool,
    /// The number, if the expression is a literal.
    literal: Option<u32>,
}

impl Value {
    fn single(code: TokenStream, ty: Integer) -> Self {
        Self {
            code,
            ty,
            single: true,
            literal: None,
        }
    }

    fn compound(code: TokenStream, ty: Integer) -> Self {
        Self {
            code,
            ty,
            single: false,
            literal: None,
        }
    }

    /// The expression as an operand, in parentheses if needed.
    fn operand(self) -> TokenStream {
        let code = self.code;
        if self.single { code } else { quote!((#code)) }
    }

    fn to(self, ty: Integer) -> Self {
        if self.ty == ty {
            return self;
        }
        let (code, rust) = (self.operand(), ty.rust());
        Self::compound(quote!(#code as #rust), ty)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Number(u64, Integer),
    Sign(&'static str),
}

/// Operators. Longer ones stand before their prefixes.
const SIGNS: [&str; 24] = [
    "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "(", ")", "+", "-", "*", "/", "%", "&", "|",
    "^", "~", "!", "<", ">", "?", ":",
];

fn tokens(body: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = body.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if first.is_ascii_digit() {
            tokens.push(number(&rest[..word])?);
            rest = &rest[word..];
        } else if word > 0 {
            tokens.push(Token::Word(rest[..word].to_owned()));
            rest = &rest[word..];
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign =
                sign.ok_or_else(|| format!("its body has `{first}`, which is not translated"))?;
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

fn number(text: &str) -> Result<Token, String> {
    let lower = text.to_ascii_lowercase();
    let suffix = lower.find(['u', 'l', 'i']).unwrap_or(lower.len());
    let (digits, suffix) = lower.split_at(suffix);
    let value = match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
        (Some(digits), _) => u64::from_str_radix(digits, 16),
        (None, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8),
        _ => digits.parse(),
    };
    let value = value.map_err(|_| format!("its body has `{text}`, which is not an integer"))?;
    let decimal = !digits.starts_with('0');
    let wide = suffix.contains("ll") || suffix.contains("i64") || value > u64::from(u32::MAX);
    let bits = if wide { 64 } else { 32 };
    let over = value
        > if wide {
            i64::MAX.cast_unsigned()
        } else {
            i32::MAX.cast_unsigned().into()
        };
    let signed = !suffix.contains('u') && (decimal || !over);
    let bits = if over && signed { 64 } else { bits };
    Ok(Token::Number(value, Integer { bits, signed }))
}

/// The limit for the nesting of a macro.
const DEPTH: u32 = 64;

struct Parser<'p> {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    parameters: &'p [(String, &'static str)],
    constants: &'p Constants,
}

impl Parser<'_> {
    fn peek(&self) -> String {
        match self.tokens.get(self.at) {
            None => "its end".to_owned(),
            Some(Token::Word(word)) => word.clone(),
            Some(Token::Number(number, _)) => number.to_string(),
            Some(Token::Sign(sign)) => (*sign).to_owned(),
        }
    }

    fn sign(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(sign)) if *sign == wanted);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.sign(wanted) {
            Ok(())
        } else {
            Err(format!(
                "its body has `{}` instead of `{wanted}`",
                self.peek()
            ))
        }
    }

    /// Parses operators that bind at least as tightly as `level`.
    fn binary(&mut self, level: usize) -> Result<Value, String> {
        const LEVELS: [&[&str]; 5] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"]];
        let Some(operators) = LEVELS.get(level) else {
            return self.product();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.sign(operator)) {
            let right = self.binary(level + 1)?;
            left = combine(left, operator, right);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Value, String> {
        let mut left = self.unary()?;
        while self.sign("*") {
            let right = self.unary()?;
            left = combine(left, "*", right);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("its body nests too deeply".to_owned());
        }
        let value = self.operand();
        self.depth -= 1;
        value
    }

    fn operand(&mut self) -> Result<Value, String> {
        if self.sign("~") {
            let value = self.unary()?;
            let ty = value.ty.promoted();
            let code = value.to(ty).operand();
            return Ok(Value::compound(quote!(!#code), ty));
        }
        if self.sign("-") {
            let value = self.unary()?;
            let ty = value.ty.promoted();
            let code = value.to(ty).operand();
            return Ok(Value::single(quote!(#code.wrapping_neg()), ty));
        }
        if self.sign("(") {
            if let (Some(Token::Word(word)), Some(Token::Sign(")"))) =
                (self.tokens.get(self.at), self.tokens.get(self.at + 1))
                && let Some(ty) = Integer::of_c(word)
            {
                self.at += 2;
                return Ok(self.unary()?.to(ty));
            }
            let value = self.binary(0)?;
            self.expect(")")?;
            return Ok(value);
        }
        let token = self.tokens.get(self.at).cloned();
        let value = match token {
            Some(Token::Number(number, ty)) => literal(number.into(), ty),
            Some(Token::Word(word)) => {
                let parameter = self.parameters.iter().find(|(name, _)| *name == word);
                if let Some((name, ty)) = parameter {
                    let ty =
                        Integer::of_rust(ty).ok_or("the type of a parameter is not an integer")?;
                    let name = proc_macro2::Ident::new(name, proc_macro2::Span::call_site());
                    Value::single(quote!(#name), ty)
                } else if let Some(constant) = self.constants.get(&word) {
                    let bits = u32::try_from(constant.size * 8).unwrap_or(64);
                    literal(
                        constant.value,
                        Integer {
                            bits,
                            signed: constant.signed,
                        },
                    )
                } else {
                    return Err(format!(
                        "its body has `{word}`, which is neither a parameter nor a constant"
                    ));
                }
            }
            _ => {
                return Err(format!(
                    "its body has `{}`, which is not translated",
                    self.peek()
                ));
            }
        };
        self.at += 1;
        Ok(value)
    }
}

fn literal(value: i128, ty: Integer) -> Value {
    let rust = ty.rust();
    let digits = if value > 9 {
        format!("{value:#x}_{rust}")
    } else {
        format!("{value}{rust}")
    };
    let number: Literal = digits
        .parse()
        .unwrap_or_else(|_| Literal::i128_unsuffixed(value));
    Value {
        literal: u32::try_from(value).ok(),
        ..Value::single(quote!(#number), ty)
    }
}

fn combine(left: Value, operator: &str, right: Value) -> Value {
    if matches!(operator, "<<" | ">>") {
        let ty = left.ty.promoted();
        let left = left.to(ty).operand();
        if let Some(bits) = right.literal.filter(|bits| *bits < ty.bits) {
            let bits = Literal::u32_unsuffixed(bits);
            let code = if operator == "<<" {
                quote!(#left << #bits)
            } else {
                quote!(#left >> #bits)
            };
            return Value::compound(code, ty);
        }
        let amount = Integer {
            bits: 32,
            signed: false,
        };
        let right = right.to(amount).code;
        let code = if operator == "<<" {
            quote!(#left.wrapping_shl(#right))
        } else {
            quote!(#left.wrapping_shr(#right))
        };
        return Value::single(code, ty);
    }
    let ty = left.ty.common(right.ty);
    let (left, right) = (left.to(ty), right.to(ty));
    if !matches!(operator, "|" | "^" | "&") {
        let (left, right) = (left.operand(), right.code);
        return Value::single(
            match operator {
                "+" => quote!(#left.wrapping_add(#right)),
                "-" => quote!(#left.wrapping_sub(#right)),
                _ => quote!(#left.wrapping_mul(#right)),
            },
            ty,
        );
    }
    let (left, right) = (left.operand(), right.operand());
    let code = match operator {
        "|" => quote!(#left | #right),
        "^" => quote!(#left ^ #right),
        _ => quote!(#left & #right),
    };
    Value::compound(code, ty)
}

#[cfg(test)]
mod tests {
    use super::translate;
    use crate::read::facts::{FunctionMacro, Origin};
    use crate::read::macros::{Constant, Constants};

    fn of(name: &str, parameters: &[&str], body: &str) -> Result<String, String> {
        let function = FunctionMacro {
            origin: Origin::default(),
            parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
            body: body.to_owned(),
        };
        let int = Constant {
            value: 0,
            size: 4,
            signed: true,
            c_type: "int".into(),
        };
        let constants = Constants::from([
            (format!("{name}_of_0"), int.clone()),
            ("FIVE".into(), Constant { value: 5, ..int }),
        ]);
        let function = translate(name, &function, &constants)?;
        Ok(format!(
            "{} -> {}",
            function.body.to_string().replace(' ', ""),
            function.output
        ))
    }

    #[test]
    fn c_s_promotions_are_spelled_out() {
        assert_eq!(
            of("WSK_MAJOR_VERSION", &["V"], "((UCHAR)((V) >> 8))").unwrap(),
            "((Vasi32)>>8)asu8 -> u8"
        );
        assert_eq!(
            of("X", &["a"], "(a) | FIVE").unwrap(),
            "a|(5i32asu32) -> u32"
        );
        assert_eq!(
            of("X", &["a", "b"], "(USHORT)(a + 0x10) << b").unwrap(),
            "((a.wrapping_add(0x10_i32asu32)asu16)asi32).wrapping_shl(b)asu32 -> u32"
        );
    }

    #[test]
    fn what_is_no_expression_of_integers_is_refused() {
        for body in [
            "do { } while (0)",
            "sizeof(a)",
            "(a",
            "a +",
            "a ? 1 : 2",
            "f(a)",
            "\"text\"",
            "a b",
            "0x",
            "a / 2",
        ] {
            assert!(of("X", &["a"], body).is_err(), "{body}");
        }
        assert!(of("X", &["a"], &"(".repeat(100_000)).is_err());
    }
}
