//! What /proc and /sys say of a machine. `root` stands before every path, so that another machine's files can be read.
use std::fs;
use std::path::Path;

/// What was found; what was not is told in `notes`.
#[derive(Debug, Default, PartialEq)]
pub struct Machine {
    /// The first `compatible` of the device tree, or the product's name.
    pub identity: Option<String>,
    /// For people.
    pub model: Option<String>,
    /// By number; empty where the kernel states no capacity.
    pub capacities: Vec<u32>,
    /// How many cores there are.
    pub cores: usize,
    /// Cores of each cluster.
    pub clusters: Vec<Vec<usize>>,
    /// All there is.
    pub memory_mib: Option<u64>,
    /// Hardware watchdogs.
    pub watchdogs: Vec<Watchdog>,
    /// Thermal zones.
    pub zones: Vec<Zone>,
    /// What could not be found, and why.
    pub notes: Vec<String>,
}

/// A watchdog of /sys/class/watchdog.
#[derive(Debug, PartialEq)]
pub struct Watchdog {
    /// `watchdog0`
    pub name: String,
    /// What the driver calls it.
    pub identity: Option<String>,
    /// What it is set to; `None` where the kernel does not show it.
    pub timeout_s: Option<u64>,
}

/// A zone of /sys/class/thermal.
#[derive(Debug, PartialEq)]
pub struct Zone {
    /// Its type.
    pub name: String,
    /// The lowest passive trip, in whole degrees Celsius.
    pub throttle_c: Option<u64>,
}

impl Machine {
    /// Reads it below `root`, which is `/` but in tests.
    pub fn read(root: &Path) -> Self {
        let files = Files(root);
        let mut machine = Self {
            identity: identity(&files),
            model: files
                .text("proc/device-tree/model")
                .or_else(|| files.text("sys/class/dmi/id/product_name")),
            cores: cores(&files),
            memory_mib: memory_mib(&files),
            watchdogs: files
                .names("sys/class/watchdog", "watchdog")
                .iter()
                .map(|name| watchdog(&files, name))
                .collect(),
            zones: files
                .names("sys/class/thermal", "thermal_zone")
                .iter()
                .filter_map(|name| zone(&files, name))
                .collect(),
            ..Self::default()
        };
        machine.capacities = capacities(&files, machine.cores);
        machine.clusters = clusters(&files, machine.cores);
        machine.note_absent();
        machine
    }

    fn note_absent(&mut self) {
        let absent = [
            (self.identity.is_none(), "no device tree and no product name: choose a name"),
            (self.cores == 0, "/sys/devices/system/cpu lists no cores"),
            (
                self.cores > 0 && self.capacities.is_empty(),
                "no cpu_capacity in /sys/devices/system/cpu/cpu*: the cores are taken to be alike",
            ),
            (self.memory_mib.is_none(), "no MemTotal in /proc/meminfo"),
            (
                self.watchdogs.is_empty(),
                "no watchdog in /sys/class/watchdog: is its module loaded?",
            ),
            (self.zones.is_empty(), "no thermal zone in /sys/class/thermal"),
        ];
        let notes =
            absent.into_iter().filter(|(absent, _)| *absent).map(|(_, note)| note.to_owned());
        self.notes = notes.collect();
    }
}

struct Files<'a>(&'a Path);

impl Files<'_> {
    /// The file's text without white space and NUL around it; `None` where it is absent, unreadable or empty.
    fn text(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.0.join(path)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Entries `prefix0`, `prefix1`, … of a folder, in the order of their numbers.
    fn names(&self, folder: &str, prefix: &str) -> Vec<String> {
        let listed = fs::read_dir(self.0.join(folder)).into_iter().flatten().flatten();
        let mut found: Vec<(u32, String)> = listed
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((name.strip_prefix(prefix)?.parse().ok()?, name))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, name)| name).collect()
    }
}

fn identity(files: &Files<'_>) -> Option<String> {
    let compatible = files.text("proc/device-tree/compatible");
    let first = compatible.and_then(|all| all.split('\0').next().map(str::to_owned));
    first.or_else(|| files.text("sys/class/dmi/id/product_name"))
}

fn cores(files: &Files<'_>) -> usize {
    let present = files.text("sys/devices/system/cpu/present");
    let last = present.and_then(|list| cpu_list(&list).last().map(|last| last + 1));
    last.unwrap_or_else(|| files.names("sys/devices/system/cpu", "cpu").len())
}

/// `0-3,6` as the kernel writes it.
fn cpu_list(text: &str) -> Vec<usize> {
    let mut cpus: Vec<usize> = text
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
            (last < edgemill_config::limits::CORES).then_some(first..=last)
        })
        .flatten()
        .collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

fn capacities(files: &Files<'_>, cores: usize) -> Vec<u32> {
    let one = |core| {
        let capacity = files.number(&format!("sys/devices/system/cpu/cpu{core}/cpu_capacity"))?;
        u32::try_from(capacity).ok().filter(|it| (1..=1024).contains(it))
    };
    (0..cores).map(one).collect::<Option<_>>().unwrap_or_default()
}

/// By `cluster_cpus_list` where that tells more than each core by itself, else by package; none where neither covers
/// every core once.
fn clusters(files: &Files<'_>, cores: usize) -> Vec<Vec<usize>> {
    let by = |list: &str| {
        let mut clusters: Vec<Vec<usize>> = (0..cores)
            .filter_map(|core| {
                let path = format!("sys/devices/system/cpu/cpu{core}/topology/{list}");
                files.text(&path).map(|text| cpu_list(&text))
            })
            .collect();
        clusters.sort();
        clusters.dedup();
        clusters
    };
    let whole = |clusters: &Vec<Vec<usize>>| {
        let mut all: Vec<usize> = clusters.iter().flatten().copied().collect();
        all.sort_unstable();
        all.into_iter().eq(0..cores) && clusters.iter().any(|cluster| cluster.len() > 1)
    };
    let lists = ["cluster_cpus_list", "package_cpus_list", "core_siblings_list"];
    lists.into_iter().map(by).find(whole).unwrap_or_default()
}

fn memory_mib(files: &Files<'_>) -> Option<u64> {
    let text = files.text("proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024).filter(|mib| *mib > 0)
}

fn watchdog(files: &Files<'_>, name: &str) -> Watchdog {
    let folder = format!("sys/class/watchdog/{name}");
    let timeout_s = files.number(&format!("{folder}/timeout")).filter(|s| (1..=86_400).contains(s));
    Watchdog { identity: files.text(&format!("{folder}/identity")), timeout_s, name: name.into() }
}

fn zone(files: &Files<'_>, name: &str) -> Option<Zone> {
    let folder = format!("sys/class/thermal/{name}");
    let passive = (0..64).map_while(|trip| {
        let kind = files.text(&format!("{folder}/trip_point_{trip}_type"))?;
        let temp = files.number(&format!("{folder}/trip_point_{trip}_temp"));
        Some(temp.filter(|_| kind == "passive").map(|milli| milli / 1000))
    });
    let throttle_c = passive.flatten().filter(|degrees| (1..=150).contains(degrees)).min();
    Some(Zone { name: files.text(&format!("{folder}/type"))?, throttle_c })
}

#[cfg(test)]
mod tests;
