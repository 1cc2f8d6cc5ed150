//! Telling the service manager how it goes: the datagrams of sd_notify(3).
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::clock::monotonic_ns;
use crate::error::{Context, Error, Result};

/// The way to the service manager; tells nobody where there is none.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say.
    ///
    /// # Errors
    /// NOTIFY_SOCKET is set but is no address of a socket.
    pub fn from_env() -> Result<Self> {
        let variable = |name| std::env::var(name).ok();
        let for_us =
            variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| for_us).and_then(|us| us.parse().ok());
        Self::new(variable("NOTIFY_SOCKET").as_deref(), watchdog)
    }

    fn new(address: Option<&str>, watchdog_us: Option<u64>) -> Result<Self> {
        let socket =
            address.map(|text| Ok((UnixDatagram::unbound()?, parse(text)?))).transpose().map_err(
                |error| Error::new("socket", format!("NOTIFY_SOCKET={address:?}"), error),
            )?;
        Ok(Self { socket, watchdog: watchdog_us.filter(|us| *us > 0).map(Duration::from_micros) })
    }

    /// Start-up is done. The first word that systemd waits for.
    ///
    /// # Errors
    /// The manager's socket does not take it.
    pub fn ready(&self) -> Result<()> {
        self.send("READY=1")
    }

    /// One line for `systemctl status`; control characters become spaces.
    ///
    /// # Errors
    /// The manager's socket does not take it.
    pub fn status(&self, text: &str) -> Result<()> {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.send(&format!("STATUS={line}"))
    }

    /// Still alive. To be said more often than [`Notifier::watchdog_interval`].
    ///
    /// # Errors
    /// The manager's socket does not take it.
    pub fn watchdog(&self) -> Result<()> {
        self.send("WATCHDOG=1")
    }

    /// About to end.
    ///
    /// # Errors
    /// The manager's socket does not take it.
    pub fn stopping(&self) -> Result<()> {
        self.send("STOPPING=1")
    }

    /// Reading the configuration again; [`Notifier::ready`] ends it.
    ///
    /// # Errors
    /// The manager's socket does not take it.
    pub fn reloading(&self) -> Result<()> {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_ns() / 1000))
    }

    /// How long the manager waits for [`Notifier::watchdog`] before it kills us; `None` if it does not.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    fn send(&self, text: &str) -> Result<()> {
        let Some((socket, address)) = &self.socket else { return Ok(()) };
        socket
            .send_to_addr(text.as_bytes(), address)
            .map(drop)
            .context("send", || "to NOTIFY_SOCKET".into())
    }
}

/// A path, or after `@` a name in the abstract name space.
fn parse(text: &str) -> std::io::Result<SocketAddr> {
    match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None if text.starts_with('/') => SocketAddr::from_pathname(text),
        None => Err(std::io::Error::other("neither a path nor an abstract name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(address: &SocketAddr, text: &str) {
        let manager = UnixDatagram::bind_addr(address).unwrap();
        let notifier = Notifier::new(Some(text), Some(1_500_000)).unwrap();
        assert_eq!(notifier.watchdog_interval(), Some(Duration::from_millis(1500)));
        notifier.ready().unwrap();
        notifier.status("two\nlines").unwrap();
        notifier.reloading().unwrap();
        let heard: Vec<String> = std::iter::repeat_with(|| {
            let mut bytes = [0; 100];
            let length = manager.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        })
        .take(3)
        .collect();
        assert_eq!(heard[..2], ["READY=1", "STATUS=two lines"]);
        assert!(heard[2].starts_with("RELOADING=1\nMONOTONIC_USEC="));
    }

    #[test]
    fn it_speaks_to_abstract_sockets_and_to_paths() {
        let name = format!("edgemill-notify-{}", std::process::id());
        said(&SocketAddr::from_abstract_name(&name).unwrap(), &format!("@{name}"));
        let path = std::env::temp_dir().join(&name);
        said(&SocketAddr::from_pathname(&path).unwrap(), path.to_str().unwrap());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_manager_it_says_nothing() {
        let notifier = Notifier::new(None, Some(0)).unwrap();
        assert_eq!(notifier.watchdog_interval(), None);
        notifier.ready().unwrap();
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for address in ["relative", "", "vsock:2:1"] {
            assert!(Notifier::new(Some(address), None).is_err(), "{address:?}");
        }
    }
}
