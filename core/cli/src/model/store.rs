//! The box's store, for the verbs that change it: through the daemon while one runs, else by this process as the
//! store's owner.
use edgemill_config::Board;
use edgemill_control::{Client, ClientError};
use edgemill_store::device::{Store, StoreKey};

use crate::exit::Failure;

/// Who writes the store now.
pub enum Writer {
    /// The daemon that holds it.
    Daemon(Client),
    /// This process.
    Here(Box<Store>),
}

/// Finds out.
pub fn writer(board: &Board) -> Result<Writer, Failure> {
    match Client::connect(&board.paths.run) {
        Ok(client) => Ok(Writer::Daemon(client)),
        Err(ClientError::NoDaemon(_)) => Ok(Writer::Here(Box::new(open(board)?))),
        Err(error) => Err(error.into()),
    }
}

/// Opens the store, or makes the first one.
fn open(board: &Board) -> Result<Store, Failure> {
    Ok(Store::open_or_create(&board.paths.store, store_key(board)?)?)
}

/// The store's key, from where the board's file says.
pub fn store_key(board: &Board) -> Result<StoreKey, Failure> {
    Ok(StoreKey::find(&board.paths.store_key)?)
}
