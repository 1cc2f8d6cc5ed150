//! The local control socket: requests, responses, client.
