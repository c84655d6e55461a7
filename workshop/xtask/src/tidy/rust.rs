//! What the syntax tree of one file tells: sizes of functions and match arms, parameters, names, aliases.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Finding, words};

/// Lines of a function, signature included, attributes and docs not.
const FUNCTION_LINES: usize = 70;
/// Lines of the right side of a match arm.
const ARM_LINES: usize = 12;
/// Parameters of a function, `self` not counted.
const PARAMETERS: usize = 7;
/// Types that say nothing by themselves: an alias of one is a name without a promise.
const PRIMITIVES: [&str; 18] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32",
    "u64", "u128", "usize", "String",
];

/// What was found in one file.
pub(super) struct Survey {
    pub(super) findings: Vec<Finding>,
    /// Lines that `#[cfg(test)]` items take up.
    pub(super) test_lines: usize,
}

/// Reads one file. In a file of tests only the names are judged.
pub(super) fn survey(path: &str, text: &str, tests: bool) -> Result<Survey, String> {
    let file = syn::parse_file(text).map_err(|error| {
        let at = error.span().start();
        format!("does not parse at line {}: {error}", at.line)
    })?;
    let mut reader = Reader {
        path,
        item: Vec::new(),
        in_tests: tests,
        survey: Survey { findings: Vec::new(), test_lines: 0 },
    };
    reader.visit_file(&file);
    Ok(reader.survey)
}

struct Reader<'a> {
    path: &'a str,
    /// Names of the items we are inside of.
    item: Vec<String>,
    in_tests: bool,
    survey: Survey,
}

impl Reader<'_> {
    fn find(&mut self, rule: &'static str, line: usize, text: String) {
        let place = if self.item.is_empty() {
            self.path.to_owned()
        } else {
            format!("{}::{}", self.path, self.item.join("::"))
        };
        self.survey.findings.push(Finding { rule, place, line, text });
    }

    fn name(&mut self, ident: &syn::Ident) {
        let name = ident.to_string();
        if let Some(word) = words::banned_word(&name) {
            self.banned(ident, word);
        }
    }

    fn banned(&mut self, ident: &syn::Ident, word: &str) {
        let text = format!("`{ident}`: `{word}` names no responsibility");
        self.find("banned-name", ident.span().start().line, text);
    }

    fn function(&mut self, signature: &syn::Signature, end: usize) {
        self.name(&signature.ident);
        if self.in_tests {
            return;
        }
        let start = signature.span().start().line;
        let lines = (end + 1).saturating_sub(start);
        if lines > FUNCTION_LINES {
            self.find("function-lines", start, format!("has {lines} lines, the limit is {FUNCTION_LINES}"));
        }
        let parameters =
            signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_))).count();
        if parameters > PARAMETERS {
            self.find(
                "parameters",
                start,
                format!("takes {parameters} parameters, the limit is {PARAMETERS}"),
            );
        }
    }

    /// Runs `visit` inside the named item.
    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.item.push(name);
        visit(self);
        self.item.pop();
    }
}

/// `#[cfg(test)]`, `#[cfg(all(test, ..))]` or `#[test]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        attribute.path().is_ident("cfg") && (condition == "test" || condition.starts_with("all (test"))
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(module) => module.attrs.as_slice(),
            syn::Item::Fn(function) => function.attrs.as_slice(),
            syn::Item::Impl(block) => block.attrs.as_slice(),
            syn::Item::Use(import) => import.attrs.as_slice(),
            _ => &[],
        };
        if self.in_tests || !is_test(attributes) {
            visit::visit_item(self, item);
            return;
        }
        let span = item.span();
        self.survey.test_lines += span.end().line + 1 - span.start().line;
        self.in_tests = true;
        visit::visit_item(self, item);
        self.in_tests = false;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(item.sig.ident.to_string(), |reader| {
            reader.function(&item.sig, item.block.span().end().line);
            visit::visit_item_fn(reader, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(item.sig.ident.to_string(), |reader| {
            reader.function(&item.sig, item.block.span().end().line);
            visit::visit_impl_item_fn(reader, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.within(item.sig.ident.to_string(), |reader| {
            reader.function(&item.sig, item.span().end().line);
            visit::visit_trait_item_fn(reader, item);
        });
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let span = arm.body.span();
        let lines = span.end().line + 1 - span.start().line;
        if lines > ARM_LINES && !self.in_tests {
            let text = format!("a match arm has {lines} lines, the limit is {ARM_LINES}: call a function");
            self.find("arm-lines", span.start().line, text);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some(word) = words::banned_module(&item.ident.to_string()) {
            self.banned(&item.ident, word);
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.name(&item.ident);
        if let syn::Type::Path(path) = &*item.ty
            && let Some(primitive) = PRIMITIVES.into_iter().find(|name| path.path.is_ident(name))
        {
            let text = format!("`{}` is an alias of {primitive}: make it a type of its own", item.ident);
            self.find("primitive-alias", item.ident.span().start().line, text);
        }
        visit::visit_item_type(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.name(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.name(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.name(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.name(&variant.ident);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(ident) = &field.ident {
            self.name(ident);
        }
        visit::visit_field(self, field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        survey("a.rs", text, false).unwrap().findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn long_functions_and_arms_are_found() {
        let body = "    x();\n".repeat(80);
        assert_eq!(rules(&format!("fn f() {{\n{body}}}")), ["function-lines"]);
        let arm = "        x();\n".repeat(20);
        assert_eq!(rules(&format!("fn f() {{\n match y {{ 1 => {{\n{arm} }} _ => () }}\n}}")), ["arm-lines"]);
    }

    #[test]
    fn tests_are_exempt_and_counted() {
        let body = "        x();\n".repeat(80);
        let text = format!("#[cfg(test)]\nmod tests {{\n    fn f() {{\n{body}    }}\n}}");
        let survey = survey("a.rs", &text, false).unwrap();
        assert!(survey.findings.is_empty());
        assert_eq!(survey.test_lines, text.lines().count());
    }

    #[test]
    fn names_parameters_and_aliases_are_found() {
        assert_eq!(rules("struct FooManager;"), ["banned-name"]);
        assert_eq!(rules("struct Foo { message_handler: u8 }"), ["banned-name"]);
        assert_eq!(rules("type Port = u16;"), ["primitive-alias"]);
        assert_eq!(rules("mod core;"), ["banned-name"]);
        assert_eq!(rules("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) {}"), ["parameters"]);
    }
}
