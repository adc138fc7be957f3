//! The commands and their arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wsk_codegen::diff::{self, Scope};
use wsk_codegen::interface::Interface;
use wsk_codegen::report::{self, Format};
use wsk_codegen::{
    Arch, Error, Options, Output, Source, corrections, coverage, kit, ntddi, output, plan, verify,
};

/// Generates wsk-sys from the Winsock Kernel headers, of this repository or of a Windows Driver Kit.
#[derive(Parser)]
#[command(name = "cargo codegen", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the generated files.
    Generate(Generation),
    /// Exit with 1 and a diff when the generated files are not what the headers give.
    Check(Generation),
    /// Compare the generated code with clang's own layouts and values, through rustc; exit with 1 if anything differs.
    Verify(Verification),
    /// List every name that wsk.h declares and how it is bound; exit with 1 if one is missing.
    Coverage(Covering),
    /// Add what a new kit's wsk.h has to the repository's headers, and generate from them; write nothing, and exit with 1, while
    /// something needs a decision or must be written by hand.
    Update(Update),
    /// Tell what changes from one release to another, and what that means for users of wsk-sys.
    Diff(Comparison),
}

#[derive(Args)]
struct Verification {
    #[command(flatten)]
    headers: Headers,
    /// The architecture [default: both]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Target>,
    /// Verify this folder of generated files, instead of generating from the headers
    #[arg(long, value_name = "DIR")]
    bindings: Option<PathBuf>,
}

#[derive(Args)]
struct Covering {
    #[command(flatten)]
    generation: Generation,
    /// The form of the report
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Form,
}

#[derive(Args)]
struct Comparison {
    /// What to compare: a kit's root with or without @VERSION, a version of the kit that --wdk names, a folder of
    /// headers, `headers` for the repository's, or `committed` for wsk-sys as it is
    #[arg(value_name = "RELEASE", required = true)]
    sides: Vec<String>,
    /// Compare any number of releases, and give a table: item by release. A kit's root stands for all its versions
    #[arg(long)]
    releases: bool,
    /// The kit whose versions are compared
    #[arg(long, value_name = "ROOT")]
    wdk: Option<PathBuf>,
    /// The Windows SDK whose headers to use
    #[arg(long, value_name = "ROOT")]
    sdk: Option<PathBuf>,
    /// Compare everything that is bound, not only the items of wsk.h
    #[arg(long)]
    all: bool,
    /// The form of the report
    #[arg(long, value_name = "FORM", default_value = "text")]
    format: Form,
}

#[derive(Args)]
struct Update {
    /// The kit: its root, with or without @VERSION
    #[arg(value_name = "KIT")]
    kit: String,
    /// The Windows SDK whose headers to use
    #[arg(long, value_name = "ROOT")]
    sdk: Option<PathBuf>,
    /// A file of corrections of the kit's SAL
    #[arg(long, value_name = "FILE")]
    corrections: Option<PathBuf>,
    /// The first release in which providers have an entry, for an entry that the kit puts under no condition
    #[arg(long, value_name = "ENTRY=NTDDI_NAME")]
    decide: Vec<String>,
    /// The release to compare with, a git revision [default: the last tag that is a version, or else HEAD]
    #[arg(long, value_name = "REVISION")]
    release: Option<String>,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Text,
    Markdown,
    Json,
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Text => Self::Text,
            Form::Markdown => Self::Markdown,
            Form::Json => Self::Json,
        }
    }
}

/// Which headers are read.
#[derive(Args, Clone)]
#[expect(
    clippy::struct_field_names,
    reason = "the arguments' names are the command line's"
)]
#[expect(clippy::doc_markdown, reason = "what is said here is printed as it is")]
struct Headers {
    /// The folder of headers to read [default: the repository's headers]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["wdk", "wdk_version", "sdk"])]
    headers: Option<PathBuf>,
    /// Read a Windows Driver Kit: its root, a NuGet package, or any folder that holds Include/VERSION/km; without ROOT,
    /// the installed kit
    #[arg(long, value_name = "ROOT", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "absent, present, and present with a value"
    )]
    wdk: Option<Option<PathBuf>>,
    /// The version of the kit [default: the newest]
    #[arg(long, value_name = "VERSION")]
    wdk_version: Option<String>,
    /// The Windows SDK whose headers to use: a kit's root, or a folder that holds shared [default: the kit itself]
    #[arg(long, value_name = "ROOT")]
    sdk: Option<PathBuf>,
    /// Read the headers for the Windows with this NTDDI_VERSION, a number or a name [default: the newest]
    #[arg(long, value_name = "VALUE")]
    ntddi: Option<String>,
    /// A file of corrections of the headers' SAL, one a line: `PFN_WSK_X Irp: _Inout_ _New_ => _Inout_  # why`
    #[arg(long, value_name = "FILE")]
    corrections: Option<PathBuf>,
}

#[derive(Args, Clone)]
struct Generation {
    #[command(flatten)]
    headers: Headers,
    /// The architecture [default: both, in one file]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Target>,
    /// The folder of generated files [default: the repository's wsk-sys/src/generated]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Aarch64,
}

impl Target {
    fn arches(target: Option<Self>) -> Vec<Arch> {
        match target {
            None => Arch::ALL.to_vec(),
            Some(Self::X86_64) => vec![Arch::X86_64],
            Some(Self::Aarch64) => vec![Arch::Aarch64],
        }
    }
}

impl Headers {
    fn source(&self) -> Result<Source, Error> {
        let ntddi = self.ntddi.as_deref().map(ntddi::parse).transpose()?;
        let source = if self.wants_kit() {
            let root = match self.wdk.clone().flatten() {
                Some(root) => root,
                None => kit::installed()?,
            };
            self.kit(&root)?
        } else {
            match &self.headers {
                Some(folder) => Source::headers(folder)?,
                None => Source::ours()?,
            }
        };
        let corrections = corrected(self.corrections.as_deref())?;
        Ok(source.for_ntddi(ntddi).with_corrections(corrections))
    }

    fn wants_kit(&self) -> bool {
        self.wdk.is_some() || self.wdk_version.is_some() || self.sdk.is_some()
    }

    fn kit(&self, root: &Path) -> Result<Source, Error> {
        let chosen = kit::choose(root, self.wdk_version.as_deref())?;
        if self.wdk_version.is_none() {
            let found = kit::versions(root)?;
            if found.len() > 1 {
                eprintln!("versions found: {}", kit::names(&found));
            }
        }
        eprintln!("reading {}", chosen.name());
        Source::kit(&chosen, self.sdk.as_deref())
    }
}

impl Generation {
    fn options(&self) -> Result<Options, Error> {
        Ok(Options {
            arches: Target::arches(self.arch),
            by_hand: match &self.out {
                Some(out) => output::by_hand(out)?,
                None => by_hand()?,
            },
        })
    }

    fn generate(&self) -> Result<Output, Error> {
        wsk_codegen::generate(&self.headers.source()?, &self.options()?)
    }

    /// The output folder. Files generated from a kit replace the committed ones only when the user names that folder.
    fn out(&self) -> Result<PathBuf, Error> {
        match &self.out {
            Some(out) => Ok(out.clone()),
            None if self.headers.wants_kit() => Err(Error::Argument {
                argument: "--wdk".to_owned(),
                problem: "needs --out DIR: the committed files are generated from our own headers"
                    .to_owned(),
            }),
            None => output::committed(),
        }
    }
}

/// The meaning of an argument of `diff`.
#[derive(Debug, PartialEq, Eq)]
enum Side<'s> {
    /// The committed files of `wsk-sys`.
    Committed,
    /// Our own headers.
    Headers,
    /// A folder of headers, or a kit's.
    Folder,
    /// A version of the kit at a root.
    Version { root: &'s str, version: &'s str },
    /// A version of the kit that `--wdk` names.
    Bare,
    /// A path that does not exist.
    Nowhere,
}

impl<'s> Side<'s> {
    fn of(side: &'s str, is_folder: impl Fn(&str) -> bool) -> Self {
        match side {
            "committed" => return Self::Committed,
            "headers" => return Self::Headers,
            _ => {}
        }
        if is_folder(side) {
            return Self::Folder;
        }
        // A path may contain an `@` itself.
        if let Some((root, version)) = side.rsplit_once('@')
            && !version.contains(['/', '\\'])
        {
            return Self::Version { root, version };
        }
        if side.contains(['/', '\\']) {
            Self::Nowhere
        } else {
            Self::Bare
        }
    }
}

impl Comparison {
    fn run(&self) -> Result<ExitCode, Error> {
        let scope = if self.all {
            Scope::Everything
        } else {
            Scope::Wsk
        };
        let mut sides = Vec::new();
        for side in &self.sides {
            self.expand(side, &mut sides)?;
        }
        if self.releases {
            let table = diff::releases(&sides, scope);
            print!("{}", report::releases(&table, self.format.into())?);
            return Ok(ExitCode::SUCCESS);
        }
        let [(old_name, old), (new_name, new)] = sides.as_slice() else {
            return Err(Error::Argument {
                argument: self.sides.join(" "),
                problem: "name two releases, an old and a new one, or use --releases".to_owned(),
            });
        };
        let diff = diff::compare((old_name, old), (new_name, new), scope);
        print!("{}", report::diff(&diff, self.format.into())?);
        Ok(ExitCode::SUCCESS)
    }

    /// Adds the interface, or the interfaces, that an argument names.
    fn expand(&self, side: &str, sides: &mut Vec<(String, Interface)>) -> Result<(), Error> {
        let path = Path::new(side);
        let root_of = |version: &str| -> Result<Source, Error> {
            let root = match &self.wdk {
                Some(root) => root.clone(),
                None => kit::installed()?,
            };
            Source::kit(&kit::choose(&root, Some(version))?, self.sdk.as_deref())
        };
        let source = match Side::of(side, |path| Path::new(path).is_dir()) {
            Side::Committed => {
                sides.push((side.to_owned(), committed()?));
                return Ok(());
            }
            Side::Headers => Source::ours()?,
            Side::Folder if path.join("wsk.h").is_file() && path.join("ntddk.h").is_file() => {
                Source::headers(path)?
            }
            Side::Folder if self.releases => {
                for kit in kit::versions(path)? {
                    let source = Source::kit(&kit, self.sdk.as_deref())?;
                    sides.push(interface(&source)?);
                }
                return Ok(());
            }
            Side::Folder => Source::kit(&kit::choose(path, None)?, self.sdk.as_deref())?,
            Side::Version { root, version } => Source::kit(
                &kit::choose(Path::new(root), Some(version))?,
                self.sdk.as_deref(),
            )?,
            Side::Nowhere => {
                return Err(Error::Argument {
                    argument: side.to_owned(),
                    problem: "is not a folder: name a kit's root, a folder of headers, a version, `headers` or `committed`"
                        .to_owned(),
                });
            }
            Side::Bare => root_of(side)?,
        };
        sides.push(interface(&source)?);
        Ok(())
    }
}

/// The names that `wsk-sys` has by hand, if the generator runs in its repository.
fn by_hand() -> Result<BTreeSet<String>, Error> {
    match output::committed() {
        Ok(committed) => output::by_hand(&committed),
        Err(_) => Ok(BTreeSet::new()),
    }
}

/// Options to generate everything that `wsk-sys` does not have by hand.
fn beside() -> Result<Options, Error> {
    Ok(Options {
        by_hand: by_hand()?,
        ..Options::default()
    })
}

/// The interface of the committed files, with the names in their headers that are not bound.
fn committed() -> Result<Interface, Error> {
    let output = Output::read(&output::committed()?)?;
    coverage::interface(&Source::ours()?, &beside()?, &output)
}

/// The interface that `source` gives when generated as for `wsk-sys`.
fn interface(source: &Source) -> Result<(String, Interface), Error> {
    eprintln!("reading {}", source.name());
    let options = beside()?;
    let output = wsk_codegen::generate(source, &options)?;
    let interface = coverage::interface(source, &options, &output)?;
    Ok((source.name().to_owned(), interface))
}

/// The corrections in the file, or none without a file.
fn corrected(file: Option<&Path>) -> Result<Vec<corrections::Correction>, Error> {
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(file).map_err(|error| Error::Io {
        path: file.to_owned(),
        error,
    })?;
    corrections::parse(&text)
}

impl Update {
    fn source(&self) -> Result<Source, Error> {
        let kit = match Side::of(&self.kit, |path| Path::new(path).is_dir()) {
            Side::Folder => kit::choose(Path::new(&self.kit), None)?,
            Side::Version { root, version } => kit::choose(Path::new(root), Some(version))?,
            _ => {
                return Err(Error::Argument {
                    argument: self.kit.clone(),
                    problem: "is not a kit: name a kit's root, with or without @VERSION".to_owned(),
                });
            }
        };
        let source = Source::kit(&kit, self.sdk.as_deref())?;
        Ok(source.with_corrections(corrected(self.corrections.as_deref())?))
    }

    fn run(&self) -> Result<ExitCode, Error> {
        let root = wsk_codegen::repository().ok_or_else(|| Error::Argument {
            argument: "update".to_owned(),
            problem: "changes the headers of a checkout of the repository: run it inside one"
                .to_owned(),
        })?;
        let mut decided = BTreeMap::new();
        for decision in &self.decide {
            let (entry, since) = decision.split_once('=').ok_or_else(|| Error::Argument {
                argument: decision.clone(),
                problem: "is not a decision: write ENTRY=NTDDI_NAME".to_owned(),
            })?;
            decided.insert(entry.to_owned(), since.to_owned());
        }
        let options = beside()?;
        let tell = |step: &str| eprintln!("{step} …");
        let plan = plan::plan(&self.source()?, &root, &decided, &options, &tell)?;
        print!("{}", report::diff(&plan.news, Format::Text)?);
        for note in &plan.notes {
            println!("note: {note}");
        }
        for (title, lines) in [
            ("needs a decision", &plan.decisions),
            ("must be written by hand", &plan.by_hand),
        ] {
            for line in lines {
                println!("{title}: {line}");
            }
        }
        if !plan.decisions.is_empty() || !plan.by_hand.is_empty() {
            eprintln!("error: nothing was written, because something is left to do");
            return Ok(ExitCode::from(1));
        }
        let release = self.release.clone().or_else(|| plan::last_release(&root));
        let release = release.unwrap_or_else(|| "HEAD".to_owned());
        tell(&format!("comparing with {release}"));
        let before = plan::released(&root, &release)?;
        let after = Interface::of_output(&plan.output)?;
        let entry = diff::compare(
            (&release, &before),
            ("the next release", &after),
            Scope::Everything,
        );
        println!("\n{}", report::diff(&entry, Format::Markdown)?);
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        plan.write(&root)?;
        for path in plan.headers.keys() {
            println!("{} was changed: describe the new items", path.display());
        }
        println!("generated {} files", plan.output.files().count());
        Ok(ExitCode::SUCCESS)
    }
}

impl Verification {
    fn run(&self) -> Result<ExitCode, Error> {
        let options = Options {
            arches: Target::arches(self.arch),
            ..Options::default()
        };
        let source = self.headers.source()?;
        let result = match &self.bindings {
            None => verify::verify(&source, &options)?,
            Some(folder) => verify::verify_output(&source, &options, &Output::read(folder)?)?,
        };
        for comparison in &result.comparisons {
            for difference in &comparison.differences {
                println!("{}: {difference}", comparison.target);
            }
            println!(
                "{}: {} numbers compared with clang's for {}, {} differences",
                comparison.target,
                comparison.checks,
                comparison.arch.triple(),
                comparison.differences.len()
            );
        }
        for target in &result.skipped {
            println!(
                "{target}: skipped, rustc is not installed for it (`rustup target add {target}`)"
            );
        }
        let passed = result.differences() == 0 && !result.comparisons.is_empty();
        Ok(if passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        })
    }
}

pub(crate) fn run(cli: Cli) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Generate(generation) => {
            let source = generation.headers.source()?;
            let out = generation.out()?;
            output::writable(&out)?;
            let output = wsk_codegen::generate(&source, &generation.options()?)?;
            output.write(&out)?;
            let count = output.files().count();
            println!("{count} files written to {}", out.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(generation) => {
            let out = generation.out()?;
            let output = generation.generate()?;
            let diff = output.diff(&out)?;
            if diff.is_empty() {
                println!("the headers give the same {} files", output.files().count());
                return Ok(ExitCode::SUCCESS);
            }
            print!("{diff}");
            eprintln!(
                "error: the generated files differ from what the headers give\n  run `cargo codegen generate`"
            );
            Ok(ExitCode::from(1))
        }
        Command::Verify(verification) => verification.run(),
        Command::Coverage(covering) => {
            let generation = &covering.generation;
            let coverage =
                coverage::coverage(&generation.headers.source()?, &generation.options()?)?;
            print!("{}", report::coverage(&coverage, covering.format.into())?);
            let missing = coverage.missing().count();
            Ok(if missing == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            })
        }
        Command::Diff(comparison) => comparison.run(),
        Command::Update(update) => update.run(),
    }
}

#[cfg(test)]
mod tests {
    use super::Side;

    #[test]
    fn sides_on_every_system() {
        let folders = [r"C:\packages", "/Users/me/kits@home", "/Users/me/kits"];
        let of = |side| Side::of(side, |path| folders.contains(&path));
        assert_eq!(of("/Users/me/kits@home"), Side::Folder);
        assert_eq!(
            of("/Users/me/kits@home@22621"),
            Side::Version {
                root: "/Users/me/kits@home",
                version: "22621"
            }
        );
        assert_eq!(
            of(r"C:\packages@10.0.26100.0"),
            Side::Version {
                root: r"C:\packages",
                version: "10.0.26100.0"
            }
        );
        assert_eq!(of(r"C:\packages"), Side::Folder);
        assert_eq!(of(r"D:\me@work\kits"), Side::Nowhere);
        assert_eq!(of("/Users/me@work/kits"), Side::Nowhere);
        assert_eq!(of("22621"), Side::Bare);
        assert_eq!(
            (of("headers"), of("committed")),
            (Side::Headers, Side::Committed)
        );
    }
}
