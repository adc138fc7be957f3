//! The syntax of the items that the macros are put on, as far as the macros read it: attributes, structs with named members,
//! types and signatures. rustc has already parsed everything except the contents of attributes. What the macros do not read stays
//! tokens. `syn` is used only for its parser: its syntax trees of all of Rust would double the code that a driver compiles.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt as _};
use syn::{
    Error, LitStr, Result, Token, braced, bracketed,
    buffer::Cursor,
    ext::IdentExt as _,
    parenthesized,
    parse::{Parse, ParseStream, Parser as _},
    token,
};

/// The tokens between two positions.
fn between(start: Cursor<'_>, end: Cursor<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    let mut at = start;
    while at != end
        && let Some((tree, next)) = at.token_tree()
    {
        tokens.append(tree);
        at = next;
    }
    tokens
}

/// `#[name]`, `#[name = value]` or `#[name(arguments)]`.
pub(crate) struct Attribute {
    /// All its tokens.
    pub tokens: TokenStream,
    /// Its path, if that is a single name.
    name: Option<Ident>,
    arguments: Arguments,
}

enum Arguments {
    None,
    Value(TokenStream),
    List(Group),
}

impl Attribute {
    /// Parses the attributes at this position.
    pub(crate) fn all(input: ParseStream<'_>) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        while input.peek(Token![#]) {
            all.push(input.parse()?);
        }
        Ok(all)
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|known| known == name)
    }

    /// The text of `#[name = "text"]`.
    pub(crate) fn text(&self) -> Option<LitStr> {
        match &self.arguments {
            Arguments::Value(value) => syn::parse2(value.clone()).ok(),
            _ => None,
        }
    }

    /// Parses the contents of the parentheses.
    pub(crate) fn arguments<T>(&self, parse: fn(ParseStream<'_>) -> Result<T>) -> Result<T> {
        match &self.arguments {
            Arguments::List(group) => within(group, parse),
            _ => Err(Error::new_spanned(
                &self.tokens,
                "expected arguments in parentheses",
            )),
        }
    }

    /// Calls `key` for each of the comma-separated keys in the parentheses.
    pub(crate) fn keys(&self, mut key: impl FnMut(&Key<'_>) -> Result<()>) -> Result<()> {
        let Arguments::List(group) = &self.arguments else {
            return Err(Error::new_spanned(
                &self.tokens,
                "expected arguments in parentheses",
            ));
        };
        within(group, |input| {
            while !input.is_empty() {
                let start = input.cursor();
                let name = input.call(Ident::parse_any)?;
                key(&Key { name, start, input })?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        })
    }
}

/// Parses the contents of a group. An error at its end is located at the closing delimiter.
fn within<T>(group: &Group, parse: impl FnOnce(ParseStream<'_>) -> Result<T>) -> Result<T> {
    let tokens = TokenStream::from(TokenTree::Group(group.clone()));
    let parser = |input: ParseStream<'_>| {
        let content;
        parenthesized!(content in input);
        let parsed = parse(&content)?;
        if content.is_empty() {
            Ok(parsed)
        } else {
            Err(content.error("unexpected token"))
        }
    };
    parser.parse2(tokens)
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let start = input.cursor();
        input.parse::<Token![#]>()?;
        let content;
        bracketed!(content in input);
        let mut name = Some(content.call(Ident::parse_any)?);
        while content.peek(Token![::]) {
            content.parse::<Token![::]>()?;
            content.call(Ident::parse_any)?;
            name = None;
        }
        let arguments = if content.peek(Token![=]) {
            content.parse::<Token![=]>()?;
            Arguments::Value(content.parse()?)
        } else if content.peek(token::Paren) {
            Arguments::List(content.parse()?)
        } else {
            content.parse::<TokenStream>()?;
            Arguments::None
        };
        Ok(Self {
            tokens: between(start, input.cursor()),
            name,
            arguments,
        })
    }
}

impl ToTokens for Attribute {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.tokens.clone());
    }
}

/// One key among an attribute's arguments: `name` or `name = value`.
pub(crate) struct Key<'k> {
    pub name: Ident,
    start: Cursor<'k>,
    input: ParseStream<'k>,
}

impl Key<'_> {
    /// The value after `=`.
    pub(crate) fn value<T: Parse>(&self) -> Result<T> {
        self.input.parse::<Token![=]>()?;
        self.input.parse()
    }

    /// An error that covers the key and the part of its value that was read.
    pub(crate) fn error(&self, message: &str) -> Error {
        Error::new_spanned(between(self.start, self.input.cursor()), message)
    }
}

/// A type: its tokens, and its form as far as C types need it.
#[derive(Clone)]
pub(crate) struct Type {
    tokens: TokenStream,
    form: Form,
}

#[derive(Clone)]
enum Form {
    Pointer {
        mutable: bool,
        to: Box<Type>,
    },
    Reference,
    Path {
        last: Ident,
        alone: bool,
    },
    Function(Box<Function>),
    Unit,
    /// In parentheses, or in an invisible group that a macro made.
    Grouped(Box<Type>),
    Other,
}

impl Type {
    /// The type without parentheses and invisible groups.
    fn bare(&self) -> &Self {
        match &self.form {
            Form::Grouped(inner) => inner.bare(),
            _ => self,
        }
    }

    /// If the type is a raw pointer: whether it is `*mut`, and its target.
    pub(crate) fn pointer(&self) -> Option<(bool, &Self)> {
        match &self.bare().form {
            Form::Pointer { mutable, to } => Some((*mutable, to)),
            _ => None,
        }
    }

    pub(crate) fn is_reference(&self) -> bool {
        matches!(self.form, Form::Reference)
    }

    pub(crate) fn is_unit(&self) -> bool {
        matches!(self.form, Form::Unit)
    }

    /// The signature, if the type is a function pointer.
    pub(crate) fn function(&self) -> Option<&Function> {
        match &self.form {
            Form::Function(function) => Some(function),
            _ => None,
        }
    }

    /// The last segment of a path.
    pub(crate) fn last(&self) -> Option<&Ident> {
        match &self.bare().form {
            Form::Path { last, .. } => Some(last),
            _ => None,
        }
    }

    /// Whether the type is one of these names, without a path.
    pub(crate) fn is_one_of(&self, names: &[&str]) -> bool {
        match &self.bare().form {
            Form::Path { last, alone: true } => names.iter().any(|name| last == name),
            _ => false,
        }
    }

    /// The same path with another last segment.
    pub(crate) fn renamed(&self, name: &Ident) -> TokenStream {
        let mut trees: Vec<TokenTree> = self.bare().tokens.clone().into_iter().collect();
        let last = trees
            .iter_mut()
            .rev()
            .find(|tree| matches!(tree, TokenTree::Ident(_)));
        if let Some(last) = last {
            *last = name.clone().into();
        }
        trees.into_iter().collect()
    }

    /// The span of the first token.
    pub(crate) fn span(&self) -> Span {
        let first = self.tokens.clone().into_iter().next();
        first.map_or_else(Span::call_site, |tree| tree.span())
    }
}

impl ToTokens for Type {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.tokens.clone());
    }
}

impl Parse for Type {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let start = input.cursor();
        let form = form(input)?;
        Ok(Self {
            tokens: between(start, input.cursor()),
            form,
        })
    }
}

fn form(input: ParseStream<'_>) -> Result<Form> {
    if let Some((_, Delimiter::None, _, _)) = input.cursor().any_group() {
        let group: Group = input.parse()?;
        return Ok(Form::Grouped(Box::new(syn::parse2(group.stream())?)));
    }
    if input.peek(Token![*]) {
        input.parse::<Token![*]>()?;
        let mutable = input.peek(Token![mut]);
        if mutable {
            input.parse::<Token![mut]>()?;
        } else {
            input.parse::<Token![const]>()?;
        }
        let to = Box::new(input.parse()?);
        return Ok(Form::Pointer { mutable, to });
    }
    if input.peek(Token![&]) {
        input.parse::<Token![&]>()?;
        input.parse::<Option<syn::Lifetime>>()?;
        input.parse::<Option<Token![mut]>>()?;
        input.parse::<Type>()?;
        return Ok(Form::Reference);
    }
    if input.peek(token::Paren) {
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return Ok(Form::Unit);
        }
        let first: Type = content.parse()?;
        if content.is_empty() {
            return Ok(Form::Grouped(Box::new(first)));
        }
        content.parse::<TokenStream>()?;
        return Ok(Form::Other);
    }
    if input.peek(token::Bracket) || input.peek(Token![!]) {
        input.parse::<TokenTree>()?;
        return Ok(Form::Other);
    }
    let starts_function = [
        input.peek(Token![for]),
        input.peek(Token![unsafe]),
        input.peek(Token![extern]),
        input.peek(Token![fn]),
    ];
    if starts_function.contains(&true) {
        return Ok(Form::Function(input.parse()?));
    }
    if input.peek(Token![<]) {
        angles(input)?;
    }
    path(input)
}

/// A path, with or without arguments.
fn path(input: ParseStream<'_>) -> Result<Form> {
    let mut alone = !input.peek(Token![::]);
    input.parse::<Option<Token![::]>>()?;
    loop {
        let last = input
            .call(Ident::parse_any)
            .map_err(|error| Error::new(error.span(), "expected a type"))?;
        if input.peek(Token![<]) {
            angles(input)?;
            alone = false;
        }
        if !input.peek(Token![::]) {
            return Ok(Form::Path { last, alone });
        }
        input.parse::<Token![::]>()?;
        alone = false;
    }
}

/// Skips `<...>`.
fn angles(input: ParseStream<'_>) -> Result<()> {
    let mut depth = 0_usize;
    loop {
        if input.peek(Token![->]) {
            input.parse::<Token![->]>()?;
        } else if input.peek(Token![<]) {
            input.parse::<Token![<]>()?;
            depth += 1;
        } else if input.peek(Token![>]) {
            input.parse::<Token![>]>()?;
            depth -= 1;
            if depth == 0 {
                return Ok(());
            }
        } else {
            input.parse::<TokenTree>()?;
        }
    }
}

/// The signature of a function pointer.
#[derive(Clone)]
pub(crate) struct Function {
    /// `for<'a>`, `unsafe` and `extern "C"`, if they are written.
    pub lifetimes: TokenStream,
    pub unsafety: TokenStream,
    pub abi: TokenStream,
    /// The position of `fn`.
    pub span: Span,
    pub inputs: Vec<Argument>,
    /// The position of `...`, if it is written.
    pub variadic: TokenStream,
    /// The type of the result, if one is written.
    pub output: Option<Type>,
}

/// A parameter of a function pointer.
#[derive(Clone)]
pub(crate) struct Argument {
    pub tokens: TokenStream,
    pub attributes: Vec<std::rc::Rc<Attribute>>,
    pub name: Option<Ident>,
    pub ty: Type,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let start = input.cursor();
        if input.peek(Token![for]) {
            input.parse::<Token![for]>()?;
            angles(input)?;
        }
        let lifetimes = between(start, input.cursor());
        let start = input.cursor();
        input.parse::<Option<Token![unsafe]>>()?;
        let unsafety = between(start, input.cursor());
        let start = input.cursor();
        if input.peek(Token![extern]) {
            input.parse::<Token![extern]>()?;
            input.parse::<Option<LitStr>>()?;
        }
        let abi = between(start, input.cursor());
        let span = input.parse::<Token![fn]>()?.span;
        let content;
        parenthesized!(content in input);
        let mut inputs = Vec::new();
        let mut variadic = TokenStream::new();
        while !content.is_empty() {
            if content.peek(Token![...]) {
                variadic = content.parse::<Token![...]>()?.into_token_stream();
            } else {
                inputs.push(content.parse()?);
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        let output = if input.peek(Token![->]) {
            input.parse::<Token![->]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Self {
            lifetimes,
            unsafety,
            abi,
            span,
            inputs,
            variadic,
            output,
        })
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let start = input.cursor();
        let attributes = Attribute::all(input)?;
        let named = input.peek2(Token![:]) && !input.peek2(Token![::]);
        let name = if named {
            let name = input.call(Ident::parse_any)?;
            input.parse::<Token![:]>()?;
            (name != "_").then_some(name)
        } else {
            None
        };
        let ty = input.parse()?;
        Ok(Self {
            tokens: between(start, input.cursor()),
            attributes: attributes.into_iter().map(std::rc::Rc::new).collect(),
            name,
            ty,
        })
    }
}

/// A struct, as far as the derive reads it. Any other item has no members.
pub(crate) struct Struct {
    pub attributes: Vec<Attribute>,
    pub vis: TokenStream,
    pub name: Ident,
    /// Generic parameters and bounds.
    pub generics: TokenStream,
    /// Its members, if it is a struct with named members.
    pub members: Option<Vec<Field>>,
}

/// A named member of a struct.
pub(crate) struct Field {
    pub attributes: Vec<Attribute>,
    pub name: Ident,
    pub ty: Type,
}

impl Parse for Struct {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = Attribute::all(input)?;
        let vis = visibility(input)?;
        let keyword = input.call(Ident::parse_any)?;
        let name = input.call(Ident::parse_any)?;
        let start = input.cursor();
        if input.peek(Token![<]) {
            angles(input)?;
        }
        if input.peek(Token![where]) {
            while !input.peek(token::Brace) && !input.peek(Token![;]) {
                input.parse::<TokenTree>()?;
            }
        }
        let generics = between(start, input.cursor());
        let members = if keyword == "struct" && input.peek(token::Brace) {
            let content;
            braced!(content in input);
            let mut members = Vec::new();
            while !content.is_empty() {
                members.push(content.parse()?);
                if !content.is_empty() {
                    content.parse::<Token![,]>()?;
                }
            }
            Some(members)
        } else {
            input.parse::<TokenStream>()?;
            None
        };
        Ok(Self {
            attributes,
            vis,
            name,
            generics,
            members,
        })
    }
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = Attribute::all(input)?;
        visibility(input)?;
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![:]>()?;
        Ok(Self {
            attributes,
            name,
            ty: input.parse()?,
        })
    }
}

/// `pub`, `pub(crate)`, or nothing.
fn visibility(input: ParseStream<'_>) -> Result<TokenStream> {
    let start = input.cursor();
    if let Some((_, Delimiter::None, _, _)) = start.any_group() {
        return Ok(input.parse::<Group>()?.stream());
    }
    if input.peek(Token![pub]) {
        input.parse::<Token![pub]>()?;
        if input.peek(token::Paren) {
            input.parse::<Group>()?;
        }
    }
    Ok(between(start, input.cursor()))
}

/// An implementation: the tokens before the braces, those inside, and its methods.
pub(crate) struct Implementation {
    pub head: TokenStream,
    /// The type that is implemented for.
    pub ty: TokenStream,
    /// Whether it implements a trait.
    pub of_trait: bool,
    pub body: Group,
    pub methods: Vec<Method>,
}

/// A method of an implementation: its name and its attributes.
pub(crate) struct Method {
    pub name: Ident,
    pub attributes: Vec<Attribute>,
}

impl Parse for Implementation {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let start = input.cursor();
        Attribute::all(input)?;
        input.parse::<Option<Token![unsafe]>>()?;
        input.parse::<Token![impl]>()?;
        if input.peek(Token![<]) {
            angles(input)?;
        }
        let mut of_trait = false;
        let mut from = input.cursor();
        let mut to = None;
        while !input.peek(token::Brace) {
            if input.peek(Token![where]) {
                to = to.or(Some(input.cursor()));
            }
            if input.peek(Token![<]) {
                angles(input)?;
            } else if input.peek(Token![for]) && !input.peek2(Token![<]) && to.is_none() {
                input.parse::<Token![for]>()?;
                of_trait = true;
                from = input.cursor();
            } else {
                input.parse::<TokenTree>()?;
            }
        }
        let end = input.cursor();
        let body: Group = input.parse()?;
        Ok(Self {
            head: between(start, end),
            ty: between(from, to.unwrap_or(end)),
            of_trait,
            methods: methods.parse2(body.stream())?,
            body,
        })
    }
}

/// The methods among the items of an implementation.
fn methods(input: ParseStream<'_>) -> Result<Vec<Method>> {
    let mut found = Vec::new();
    while !input.is_empty() {
        if input.peek(Token![#]) && input.peek2(Token![!]) {
            input.parse::<Token![#]>()?;
            input.parse::<Token![!]>()?;
            input.parse::<Group>()?;
            continue;
        }
        let attributes = Attribute::all(input)?;
        let mut method = None;
        // An item ends with a semicolon, or with braces.
        loop {
            if input.is_empty() {
                break;
            }
            if input.peek(Token![fn]) && method.is_none() {
                input.parse::<Token![fn]>()?;
                method = Some(input.call(Ident::parse_any)?);
                continue;
            }
            match input.parse::<TokenTree>()? {
                TokenTree::Punct(mark) if mark.as_char() == ';' => break,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                _ => {}
            }
        }
        found.extend(method.map(|name| Method { name, attributes }));
    }
    Ok(found)
}
