//! Finds Windows Driver Kits and their headers: an installed kit, a `NuGet` package, or a copy of either. Also finds the headers
//! of the Windows SDK, which a driver kit needs and does not always contain.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::Error;
use crate::find::ntddi;

/// A version such as 10.0.22621.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 4]);

impl Version {
    /// The third number, which identifies a release of Windows 10 and later.
    #[must_use]
    pub fn build(self) -> u32 {
        self.0[2]
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = [0; 4];
        let parts: Vec<&str> = text.split('.').collect();
        if !(3..=4).contains(&parts.len()) {
            return Err(());
        }
        for (number, part) in numbers.iter_mut().zip(parts) {
            *number = part.parse().map_err(|_| ())?;
        }
        Ok(Self(numbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, build, revision] = self.0;
        write!(f, "{major}.{minor}.{build}.{revision}")
    }
}

/// One version of a kit: the folder that holds `km`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kit {
    /// The version, if the folder's name says it.
    pub version: Option<Version>,
    /// The folder that holds `km`.
    pub folder: PathBuf,
}

impl Kit {
    /// The kit's name in messages: its version, or its folder.
    #[must_use]
    pub fn name(&self) -> String {
        match self.version {
            Some(version) => version.to_string(),
            None => self.folder.display().to_string(),
        }
    }

    /// The `NTDDI_VERSION` of the kit's release, if its build is known.
    #[must_use]
    pub fn ntddi(&self) -> Option<u32> {
        ntddi::of_build(self.version?.build())
    }

    /// The folders to search for headers, in order. The headers of `sdk` fill in for those that the kit lacks. `stand_ins`
    /// replaces the compiler's headers if neither has them.
    ///
    /// # Errors
    ///
    /// When the kit has no `wsk.h`, or the SDK's headers are neither in it, nor beside it, nor in `sdk`.
    pub fn include(&self, sdk: Option<&Path>, stand_ins: &Path) -> Result<Vec<PathBuf>, Error> {
        let km = child(&self.folder, "km").unwrap_or_else(|| self.folder.join("km"));
        for name in ["wsk.h", "ntddk.h"] {
            if child(&km, name).is_none() {
                return Err(Error::MissingHeader {
                    name: name.to_owned(),
                    wanted_by: None,
                    looked: vec![km],
                });
            }
        }
        let runtime = child(&km, "crt");
        let mut folders = vec![km];
        folders.extend(child(&self.folder, "shared"));
        folders.extend(runtime);
        let whole = folders
            .iter()
            .any(|folder| child(folder, SDK_HEADER).is_some());
        let sdk = match sdk {
            Some(root) => Some(sdk_folder(root, self.version)?),
            None if whole => None,
            None => {
                let found = self.nearby_sdk();
                Some(found.ok_or_else(|| Error::MissingHeader {
                    name: SDK_HEADER.to_owned(),
                    wanted_by: None,
                    looked: vec![self.folder.join("shared"), self.folder.join("km")],
                })?)
            }
        };
        if let Some(sdk) = &sdk {
            folders.extend(child(sdk, "shared"));
        }
        folders.push(stand_ins.to_owned());
        folders.extend(child(&self.folder, "ucrt"));
        folders.extend(sdk.and_then(|sdk| child(&sdk, "ucrt")));
        Ok(folders)
    }

    /// The SDK's headers of another version beside this one, or in the SDK's package beside the kit's.
    fn nearby_sdk(&self) -> Option<PathBuf> {
        // A relative path may be too short to have these parents.
        let folder = dunce::canonicalize(&self.folder).ok()?;
        let include = folder.parent()?;
        let mut roots = vec![include.to_owned()];
        for package in include.ancestors().skip(1).take(4) {
            let siblings = package.parent().map(subfolders).unwrap_or_default();
            roots.extend(siblings.into_iter().filter(|folder| {
                let name = name_of(folder).to_lowercase();
                name.starts_with("microsoft.windows.sdk.cpp")
            }));
        }
        roots
            .iter()
            .find_map(|root| sdk_folder(root, self.version).ok())
    }
}

/// A header that only the SDK's `shared` has.
const SDK_HEADER: &str = "ws2def.h";

/// Where the folders of versions are, relative to the root: the root may be a kit's, `Include` itself, a package, or a folder of
/// packages.
const LAYOUTS: [&[&str]; 8] = [
    &[],
    &["include"],
    &["c", "include"],
    &["*", "c", "include"],
    &["*", "*", "c", "include"],
    &["windows kits", "10", "include"],
    &["program files (x86)", "windows kits", "10", "include"],
    &["program files", "windows kits", "10", "include"],
];

/// The versions of the kit at `root`, oldest first.
///
/// # Errors
///
/// When there is no kit.
pub fn versions(root: &Path) -> Result<Vec<Kit>, Error> {
    let root = version_of_km(root).unwrap_or_else(|| root.to_owned());
    let mut kits: Vec<Kit> = folders_holding(&root, "km")
        .into_iter()
        .filter(|folder| child(folder, "km").is_some_and(|km| holds_headers(&km)))
        .map(|folder| Kit {
            version: name_of(&folder).parse().ok(),
            folder,
        })
        .collect();
    // A mirror may have the headers without the folder for kernel mode.
    if kits.is_empty() {
        let looked = LAYOUTS
            .iter()
            .filter(|layout| !layout.contains(&"*"))
            .map(|layout| {
                layout
                    .iter()
                    .fold(root.clone(), |path, part| path.join(part))
            })
            .collect();
        return Err(Error::NoKit { looked });
    }
    kits.sort_by(|a, b| (a.version, &a.folder).cmp(&(b.version, &b.folder)));
    kits.dedup_by(|a, b| a.version.is_some() && a.version == b.version);
    Ok(kits)
}

/// The folder of a version, if `root` is its folder of kernel-mode headers.
fn version_of_km(root: &Path) -> Option<PathBuf> {
    let whole = dunce::canonicalize(root).ok()?;
    let is_km = name_of(&whole).eq_ignore_ascii_case("km") && holds_headers(&whole);
    is_km.then(|| whole.parent().map(Path::to_owned))?
}

/// Whether a folder `km` holds the kernel-mode headers. Kits have other folders of that name deeper inside.
fn holds_headers(km: &Path) -> bool {
    ["wdm.h", "ntddk.h", "wsk.h"]
        .iter()
        .any(|name| child(km, name).is_some())
}

/// The wanted version of the kit at `root`, or the newest one that has Winsock Kernel.
///
/// # Errors
///
/// When there is no such version.
pub fn choose(root: &Path, wanted: Option<&str>) -> Result<Kit, Error> {
    let mut kits = versions(root)?;
    let Some(wanted) = wanted else {
        let with_wsk = kits.iter().rposition(|kit| {
            child(&kit.folder, "km").is_some_and(|km| child(&km, "wsk.h").is_some())
        });
        let newest = with_wsk.unwrap_or(kits.len() - 1);
        return Ok(kits.swap_remove(newest));
    };
    let fits = |kit: &Kit| {
        kit.version.is_some_and(|version| {
            wanted.parse() == Ok(version) || wanted.parse() == Ok(version.build())
        }) || name_of(&kit.folder) == wanted
    };
    match kits.iter().position(fits) {
        Some(index) => Ok(kits.swap_remove(index)),
        None => Err(Error::NoVersion {
            wanted: wanted.to_owned(),
            root: root.to_owned(),
            found: names(&kits),
        }),
    }
}

/// The names of kits, for messages.
#[must_use]
pub fn names(kits: &[Kit]) -> String {
    let names: Vec<String> = kits.iter().map(Kit::name).collect();
    names.join(", ")
}

/// The SDK folder at `root` that holds `shared`: of this version, or of the nearest one.
fn sdk_folder(root: &Path, version: Option<Version>) -> Result<PathBuf, Error> {
    let mut found: Vec<PathBuf> = folders_holding(root, "shared")
        .into_iter()
        .filter(|folder| {
            child(folder, "shared").is_some_and(|shared| child(&shared, SDK_HEADER).is_some())
        })
        .collect();
    let build = |folder: &Path| {
        name_of(folder)
            .parse()
            .map_or(0, |version: Version| version.build())
    };
    let wanted = version.map_or(u32::MAX, Version::build);
    found.sort_by_key(|folder| (build(folder).abs_diff(wanted), folder.clone()));
    match found.into_iter().next() {
        Some(folder) => Ok(folder),
        None => Err(Error::MissingHeader {
            name: SDK_HEADER.to_owned(),
            wanted_by: None,
            looked: vec![
                root.join("shared"),
                root.join("Include").join("VERSION").join("shared"),
            ],
        }),
    }
}

/// The folders under `root`, where kits keep them, that contain a folder `name`.
fn folders_holding(root: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for layout in LAYOUTS {
        for place in resolve(root, layout) {
            if child(&place, name).is_some_and(|child| child.is_dir()) {
                found.push(place.clone());
            }
            let children = subfolders(&place);
            found.extend(
                children
                    .into_iter()
                    .filter(|folder| child(folder, name).is_some_and(|child| child.is_dir())),
            );
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

/// The folders that match a layout: `*` is any folder, any other part is a name in whatever case.
fn resolve(root: &Path, layout: &[&str]) -> Vec<PathBuf> {
    let mut places = vec![root.to_owned()];
    for part in layout {
        places = places
            .iter()
            .flat_map(|place| {
                if *part == "*" {
                    subfolders(place)
                } else {
                    child(place, part).into_iter().collect()
                }
            })
            .collect();
    }
    places
}

/// The entry of `folder` with this name, ignoring case.
pub(crate) fn child(folder: &Path, name: &str) -> Option<PathBuf> {
    let exact = folder.join(name);
    if exact.exists() {
        return Some(exact);
    }
    let entries = std::fs::read_dir(folder).ok()?;
    let mut matching: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
        })
        .map(|entry| entry.path())
        .collect();
    matching.sort();
    matching.into_iter().next()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn name_of(folder: &Path) -> &str {
    folder
        .file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default()
}

/// The variables that name the root of an installed kit: the installer sets the first one, a developer prompt sets the others.
const VARIABLES: [&str; 3] = ["WDKContentRoot", "WindowsSdkDir", "UniversalCRTSdkDir"];

/// The root of an installed kit, from the installer's variable, a developer prompt, or the registry.
///
/// # Errors
///
/// When no kit is installed.
pub fn installed() -> Result<PathBuf, Error> {
    first_root(|variable| std::env::var_os(variable), registered())
}

/// The first root that holds a kit, among those in variables and in the registry.
fn first_root(
    variable: impl Fn(&str) -> Option<OsString>,
    registered: Vec<PathBuf>,
) -> Result<PathBuf, Error> {
    let named = VARIABLES.iter().filter_map(|name| variable(name));
    let named = named.filter(|root| !root.is_empty()).map(PathBuf::from);
    let mut looked = Vec::new();
    for root in named.chain(registered) {
        // A root may hold only the SDK.
        if versions(&root).is_ok() {
            return Ok(root);
        }
        looked.push(root);
    }
    if looked.is_empty() {
        looked.push(PathBuf::from(format!(
            "the variables {}, and on Windows the registry's Windows Kits\\Installed Roots (name a root: --wdk ROOT)",
            VARIABLES.join(", ")
        )));
    }
    Err(Error::NoKit { looked })
}

#[cfg(windows)]
fn registered() -> Vec<PathBuf> {
    const KEYS: [&str; 2] = [
        "SOFTWARE\\Microsoft\\Windows Kits\\Installed Roots",
        "SOFTWARE\\WOW6432Node\\Microsoft\\Windows Kits\\Installed Roots",
    ];
    KEYS.iter()
        .filter_map(|key| windows_registry::LOCAL_MACHINE.open(key).ok())
        .filter_map(|key| key.get_string("KitsRoot10").ok())
        .map(PathBuf::from)
        .collect()
}

#[cfg(not(windows))]
fn registered() -> Vec<PathBuf> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{choose, first_root, versions};
    use crate::error::Error;

    fn touch(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    fn kit(version: &str) -> Vec<String> {
        ["km/wsk.h", "km/ntddk.h", "shared/ws2def.h"]
            .map(|file| format!("{version}/{file}"))
            .to_vec()
    }

    fn touch_kit(root: &Path, prefix: &str, version: &str) {
        for file in kit(version) {
            touch(root, &[&format!("{prefix}/{file}")]);
        }
    }

    #[test]
    fn the_newest_version_is_the_default() {
        let root = tempfile::tempdir().unwrap();
        touch_kit(root.path(), "Include", "10.0.9999.0");
        touch_kit(root.path(), "Include", "10.0.14393.0");
        touch(root.path(), &["Include/10.0.30000.0/um/windows.h"]);
        assert_eq!(choose(root.path(), None).unwrap().name(), "10.0.14393.0");
        assert_eq!(
            choose(root.path(), Some("9999")).unwrap().name(),
            "10.0.9999.0"
        );
        let error = choose(root.path(), Some("10.0.1.0"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("10.0.1.0") && error.contains("10.0.9999.0, 10.0.14393.0"),
            "{error}"
        );
    }

    #[test]
    fn every_layout_is_found() {
        for (prefix, root) in [
            ("Include", "."),
            ("Include", "Include"),
            ("include", "."),
            ("c/Include", "."),
            ("Microsoft.Windows.WDK.x64.10.0.26100.1/c/Include", "."),
            ("microsoft.windows.wdk.x64/10.0.26100.1/c/Include", "."),
        ] {
            let folder = tempfile::tempdir().unwrap();
            touch_kit(folder.path(), prefix, "10.0.26100.0");
            let found = versions(&folder.path().join(root)).unwrap();
            assert_eq!(found.len(), 1, "{prefix}");
            assert_eq!(found[0].name(), "10.0.26100.0", "{prefix}");
        }
    }

    #[test]
    fn a_version_s_own_folder_is_a_kit() {
        let root = tempfile::tempdir().unwrap();
        touch_kit(root.path(), "Include", "10.0.22621.0");
        let kit = choose(&root.path().join("Include/10.0.22621.0"), None).unwrap();
        assert_eq!(kit.name(), "10.0.22621.0");
        assert_eq!(kit.ntddi(), Some(0x0A00_000C));
    }

    #[test]
    fn a_kit_without_wsk_names_the_file_and_the_folder() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["Include/10.0.22621.0/km/ntddk.h"]);
        let error = choose(root.path(), None)
            .unwrap()
            .include(None, Path::new("stand-ins"))
            .unwrap_err();
        let Error::MissingHeader { name, looked, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(name, "wsk.h");
        assert_eq!(looked, [root.path().join("Include/10.0.22621.0/km")]);
    }

    #[test]
    fn no_kit_names_the_folders_that_were_searched() {
        let root = tempfile::tempdir().unwrap();
        let error = versions(root.path()).unwrap_err().to_string();
        assert!(
            error.contains(&root.path().join("include").display().to_string()),
            "{error}"
        );
    }

    #[test]
    fn the_sdk_is_taken_from_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let packages = root.path();
        touch(
            packages,
            &[
                "wdk.1/c/Include/10.0.26100.0/km/wsk.h",
                "wdk.1/c/Include/10.0.26100.0/km/ntddk.h",
            ],
        );
        let kit = choose(&packages.join("wdk.1"), None).unwrap();
        let error = kit
            .include(None, Path::new("stand-ins"))
            .unwrap_err()
            .to_string();
        for part in ["ws2def.h was not found", "10.0.26100.0/shared", "--sdk"] {
            assert!(error.contains(part), "{part} not in {error}");
        }
        touch(
            packages,
            &["Microsoft.Windows.SDK.CPP.10/c/Include/10.0.26100.0/shared/ws2def.h"],
        );
        assert!(
            kit.include(None, Path::new("stand-ins"))
                .unwrap()
                .iter()
                .any(|folder| folder.ends_with("shared"))
        );
        touch(packages, &["flat/shared/ws2def.h"]);
        let flat = packages.join("flat");
        assert!(
            kit.include(Some(&flat), Path::new("stand-ins"))
                .unwrap()
                .contains(&flat.join("shared"))
        );
        assert!(
            kit.include(Some(&packages.join("none")), Path::new("stand-ins"))
                .is_err()
        );
    }

    #[test]
    fn an_installed_kit_is_found_by_what_names_it() {
        let root = tempfile::tempdir().unwrap();
        let (wdk, prompt, old) = (
            root.path().join("wdk"),
            root.path().join("prompt"),
            root.path().join("old"),
        );
        for kit in [&wdk, &prompt, &old] {
            touch_kit(kit, "Include", "10.0.22621.0");
        }
        let sdk = root.path().join("sdk");
        touch(&sdk, &["Include/10.0.22621.0/shared/ws2def.h"]);
        let find = |variables: &[(&str, &Path)], registered: &[&Path]| {
            let value = |name: &str| {
                let known = variables.iter().find(|(variable, _)| *variable == name);
                known.map(|(_, root)| root.as_os_str().to_owned())
            };
            let registered = registered.iter().map(|root| root.to_path_buf()).collect();
            first_root(value, registered)
        };
        let both: &[(&str, &Path)] = &[("WindowsSdkDir", &prompt), ("WDKContentRoot", &wdk)];
        assert_eq!(find(both, &[&old]).unwrap(), wdk);
        assert_eq!(find(&both[..1], &[&old]).unwrap(), prompt);
        assert_eq!(find(&[], &[&sdk, &old]).unwrap(), old);
        // These name no kit: an SDK without a kit, and an empty variable.
        let none: &[(&str, &Path)] = &[("WindowsSdkDir", &sdk), ("WDKContentRoot", Path::new(""))];
        assert_eq!(find(none, &[&old]).unwrap(), old);
        let error = find(none, &[]).unwrap_err().to_string();
        assert!(error.contains(&sdk.display().to_string()), "{error}");
        let error = find(&[], &[]).unwrap_err().to_string();
        for part in [
            "WDKContentRoot",
            "WindowsSdkDir",
            "Installed Roots",
            "--wdk",
        ] {
            assert!(error.contains(part), "{part} not in {error}");
        }
    }

    #[test]
    fn the_folder_of_kernel_mode_headers_is_named_itself() {
        let root = tempfile::tempdir().unwrap();
        touch_kit(root.path(), "Include", "10.0.26100.0");
        touch(root.path(), &["Include/10.0.26100.0/km/acx/km/1.1/acx.h"]);
        for named in [
            "Include/10.0.26100.0/km",
            "Include/10.0.26100.0",
            "Include",
            ".",
        ] {
            let found = versions(&root.path().join(named)).unwrap();
            assert_eq!(found.len(), 1, "{named}: {found:?}");
            assert_eq!(found[0].name(), "10.0.26100.0", "{named}");
        }
        // A folder without headers does not count.
        assert!(versions(&root.path().join("Include/10.0.26100.0/km/acx")).is_err());
    }

    #[test]
    fn both_folders_of_programs() {
        for programs in ["Program Files", "Program Files (x86)"] {
            let root = tempfile::tempdir().unwrap();
            touch_kit(
                root.path(),
                &format!("{programs}/Windows Kits/10/Include"),
                "10.0.26100.0",
            );
            assert_eq!(versions(root.path()).unwrap().len(), 1, "{programs}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_folders_ends() {
        let root = tempfile::tempdir().unwrap();
        touch_kit(root.path(), "Include", "10.0.22621.0");
        std::os::unix::fs::symlink(root.path(), root.path().join("Include/loop")).unwrap();
        assert_eq!(versions(root.path()).unwrap().len(), 1);
    }
}
