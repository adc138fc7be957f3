//! Sends and receives a message with `rust-mqtt`, over a connection of `wsk`.

use core::net::SocketAddr;

use embedded_nal_async::TcpConnect;
use rust_mqtt::Bytes;
use rust_mqtt::buffer::BumpBuffer;
use rust_mqtt::client::Client;
use rust_mqtt::client::event::Event;
use rust_mqtt::client::options::{
    ConnectOptions, DisconnectOptions, PublicationOptions, SubscriptionOptions, TopicReference,
};
use rust_mqtt::types::{MqttString, TopicFilter, TopicName};
use wsk::Network;

use crate::Failed;

const NAME: &str = "sntp-http-mqtt";
const TOPIC: &str = "drivers/sntp-http-mqtt";
const MESSAGE: &str = "Hello from the kernel!";

/// Subscribes to a topic, publishes a message on it, and prints it when it comes back, after the broker has acknowledged it.
/// Received messages must fit into the buffer.
pub(crate) async fn publish(
    network: &Network,
    broker: SocketAddr,
    room: &mut [u8],
    disconnect: bool,
) -> Result<(), Failed> {
    let connection = network.connect(broker).await?;
    let mut buffer = BumpBuffer::new(room);
    let mut client = Client::<_, _, 1, 1, 1, 0, 0, 0, 0>::new(&mut buffer);
    let name = MqttString::from_str(NAME).map_err(Failed::of)?;
    let options = ConnectOptions::new().clean_start();
    client
        .connect(connection, &options, Some(name))
        .await
        .map_err(Failed::of)?;

    let topic = MqttString::from_str(TOPIC).map_err(Failed::of)?;
    let filter = TopicFilter::new(topic.as_borrowed()).ok_or(Failed::Protocol)?;
    client
        .subscribe(filter, &SubscriptionOptions::new())
        .await
        .map_err(Failed::of)?;
    let topic = TopicName::new(topic).ok_or(Failed::Protocol)?;
    let options = PublicationOptions::new(TopicReference::Name(topic)).at_least_once();
    client
        .publish(&options, Bytes::Borrowed(MESSAGE.as_bytes()))
        .await
        .map_err(Failed::of)?;

    let (mut subscribed, mut acknowledged, mut arrived) = (false, false, false);
    while !(subscribed && acknowledged && arrived) {
        match client.poll().await.map_err(Failed::of)? {
            Event::Suback(_) => subscribed = true,
            Event::PublishAcknowledged(_) => acknowledged = true,
            Event::Publish(publish) => {
                arrived = true;
                wsk_driver::println!(
                    "sntp-http-mqtt: published and received: {}",
                    core::str::from_utf8(&publish.message).unwrap_or("not a text")
                );
            }
            _ => {}
        }
    }
    let options = DisconnectOptions::new();
    let mut connection = client.disconnect(&options).await.map_err(Failed::of)?;
    if disconnect {
        connection.disconnect().await?;
    }
    Ok(())
}
