//! Constants, and the statuses with their meanings.

use proc_macro2::Literal;
use quote::quote;

use crate::emit::constant_types;
use crate::emit::document::{self, Kind};
use crate::emit::emitter::{Emitter, File, Items, docs, hexadecimal, ident};
use crate::find::ntddi;

impl Emitter<'_> {
    /// Macros for string literals. A narrow string stays a C string, a wide one becomes UTF-16 with its terminating zero.
    pub(super) fn texts(&self, items: &mut Items) {
        for (name, (origin, literal)) in &self.facts.texts {
            let narrow = syn::parse_str::<syn::LitCStr>(&format!("c{literal}")).ok();
            let wide = literal.strip_prefix('L');
            let wide = wide.and_then(|literal| syn::parse_str::<syn::LitStr>(literal).ok());
            let (ty, value) = if let Some(text) = narrow {
                (quote!(&core::ffi::CStr), quote!(#text))
            } else if let Some(text) = wide {
                let text = text.value();
                let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
                let count = units.len();
                (quote!(&[u16; #count]), quote!(&[#(#units),*]))
            } else {
                continue;
            };
            let doc = docs(&document::item(Kind::Constant, name, name, origin, None));
            let item = ident(name);
            items.insert(
                (File::Constants, name.clone()),
                quote!(#doc pub const #item: #ty = #value;),
            );
        }
    }

    /// The releases of Windows that the generator knows. The build of a running system shows which entries its tables have.
    pub(super) fn builds(items: &mut Items) {
        let rows = ntddi::builds().map(|(build, value)| {
            let build = Literal::u32_unsuffixed(build);
            let value = hexadecimal(value.into(), 8, "");
            quote!((#build, #value))
        });
        let doc =
            docs(&["Builds of Windows, oldest first, and the `NTDDI_VERSION` of each.".to_owned()]);
        items.insert(
            (File::Constants, "WINDOWS_BUILDS".to_owned()),
            quote!(#doc pub const WINDOWS_BUILDS: &[(u32, u32)] = &[#(#rows),*];),
        );
    }

    pub(super) fn constants(&self, items: &mut Items) {
        let mut named = Vec::new();
        for (name, constant) in &self.reading.constants {
            let Some(origin) = self.facts.macros.get(name) else {
                continue;
            };
            if name.starts_with('_') {
                continue;
            }
            let ty = constant_types::rust_type(name, constant);
            let doc = docs(&document::item(Kind::Constant, name, name, origin, None));
            let item = ident(name);
            if ty == "NTSTATUS" {
                let bits = hexadecimal(constant.value & 0xFFFF_FFFF, 8, "u32");
                items.insert(
                    (File::Status, name.clone()),
                    quote!(#doc pub const #item: NTSTATUS = NTSTATUS(#bits.cast_signed());),
                );
                let meaning = origin.doc.lines().next().unwrap_or("");
                let meaning = meaning.trim_end_matches('.').to_owned();
                named.push((constant.value & 0xFFFF_FFFF, item, name.clone(), meaning));
                continue;
            }
            let value = if let Some(value) = constant_types::wrapped(ty, constant.value) {
                Literal::i128_unsuffixed(value)
            } else if constant.value > 0xFFFF {
                hexadecimal(constant.value, constant.size * 2, "")
            } else {
                Literal::i128_unsuffixed(constant.value)
            };
            let ty = ident(ty);
            items.insert(
                (File::Constants, name.clone()),
                quote!(#doc pub const #item: #ty = #value;),
            );
        }
        named.sort();
        named.dedup_by_key(|entry| entry.0);
        let entries = named
            .iter()
            .map(|(_, ident, name, meaning)| quote!((#ident, #name, #meaning)));
        items.insert(
            (File::Status, "~named".to_owned()),
            quote! {
                /// Value, name and meaning of each status, in the order of the values as unsigned integers.
                pub(crate) const NAMED: &[(NTSTATUS, &str, &str)] = &[#(#entries),*];
            },
        );
    }
}
