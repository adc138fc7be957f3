//! Fetches a page with `reqwless`, over the network of `wsk`.

use reqwless::client::HttpClient;
use reqwless::request::Method;
use wsk::Network;

use crate::Failed;

/// Fetches a page, and prints its length and its beginning. Head and body must fit into the buffer.
pub(crate) async fn fetch(network: &Network, url: &str, room: &mut [u8]) -> Result<(), Failed> {
    let mut client = HttpClient::new(network, network);
    let mut request = client.request(Method::GET, url).await.map_err(Failed::of)?;
    let response = request.send(room).await.map_err(Failed::of)?;
    let status = response.status;
    let body = response.body().read_to_end().await.map_err(Failed::of)?;
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    wsk_driver::println!(
        "sntp-http-mqtt: {url} is {} bytes with status {}: {}",
        body.len(),
        status.0,
        core::str::from_utf8(line).unwrap_or("not a text")
    );
    Ok(())
}
