//! Cases on the image: systemd, the shipped units, the packages installed.
//!
//! A box is set up once, as a user would ([`base`]); each further machine starts from a copy of that disk. Most cases
//! share one machine ([`sessions`]), since a boot takes the better part of a minute; what a case breaks it mends.
mod base;
mod boot;
mod disk;
mod faults;
mod guest;
mod hostile;
mod measure;
mod search;
mod secrets;
mod sessions;
mod stop;
mod unit;
mod wire;

use super::Case;

pub use measure::measure;
pub use sessions::end;

/// All of them. They measure times, so that each has the machine for itself; and in this order, since the last of
/// those that share a machine turns it off.
pub const CASES: [Case; 15] = [
    case("boot_to_gpio", |context| sessions::first(context, "boot_to_gpio", boot::to_gpio)),
    case("hardening", |context| sessions::first(context, "hardening", unit::hardening)),
    case("realtime", |context| sessions::first(context, "realtime", unit::realtime)),
    case("no_plain_bytes", secrets::no_plain_bytes),
    case("credential", |context| sessions::first(context, "credential", secrets::credential)),
    case("daemon_killed", |context| sessions::first(context, "daemon_killed", faults::killed)),
    case("daemon_hung", |context| sessions::first(context, "daemon_hung", faults::hung)),
    case("stage_hung", |context| sessions::first(context, "stage_hung", faults::stage_hung)),
    case("disk_full", |context| sessions::first(context, "disk_full", disk::full)),
    case("bad_model", |context| sessions::first(context, "bad_model", faults::bad_model)),
    case("hostile_user", |context| sessions::first(context, "hostile_user", hostile::user)),
    case("shutdown", |context| sessions::first(context, "shutdown", stop::shutdown)),
    case("read_only_root", |context| sessions::second(context, "read_only_root", disk::read_only)),
    case("no_clock", |context| sessions::second(context, "no_clock", boot::no_clock)),
    case("hw_watchdog", |context| sessions::second(context, "hw_watchdog", stop::hw_watchdog)),
];

const fn case(name: &'static str, run: fn(&super::Context) -> anyhow::Result<String>) -> Case {
    Case { name, alone: true, run }
}
