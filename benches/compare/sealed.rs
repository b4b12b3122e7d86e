//! Connections whose frames are sealed with a key of the keyring (hmac-sha-256).

use crate::{Result, Target};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::path::PathBuf;
use tidegate::{
    client::{Client, Credential, Event, IntegrityOffer, WebSocketConnection},
    config::load_keyring,
    integrity::keyring::KeyMaterial,
};

const SIZE: usize = 125;

pub(crate) struct SealedConnector {
    url: String,
    folder: PathBuf,
    offer: IntegrityOffer,
}

impl SealedConnector {
    pub(crate) fn new(target: &Target) -> Result<Self> {
        let folder = target.credentials.clone();
        let folder = folder.ok_or("sealed frames take credentials")?;
        let keyring = load_keyring(&folder.join("keyring.toml"));
        let keyring = keyring.map_err(|_| "keyring.toml cannot be used")?;
        let mut credentials = keyring.iter().filter_map(|key| match &key.material {
            KeyMaterial::Secret(secret) => {
                Some(Credential::Secret(key.kid.clone(), secret.clone()))
            }
            KeyMaterial::X25519(_) => None,
        });
        let credential = credentials.next().ok_or("the keyring has no secret")?;
        Ok(Self {
            url: format!("wss://localhost:{}/sealed", target.address.port()),
            folder,
            offer: IntegrityOffer::HmacSha256 {
                credential,
                channel_binding: true,
            },
        })
    }

    /// Opens connections, each with one message that came back.
    pub(crate) async fn open(&self, count: usize) -> Result<Vec<WebSocketConnection>> {
        let mut sockets = Vec::with_capacity(count);
        while sockets.len() < count {
            sockets.push(self.open_one().await?);
        }
        Ok(sockets)
    }

    async fn open_one(&self) -> Result<WebSocketConnection> {
        let authority = CertificateDer::from_pem_file(self.folder.join("ca.pem"))?;
        let chain = CertificateDer::pem_file_iter(self.folder.join("client.pem"))?;
        let chain = chain.collect::<std::result::Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(self.folder.join("client.key"))?;
        let builder = Client::builder(&self.url)
            .roots([authority])
            .identity(chain, key);
        let mut socket = builder.integrity([self.offer.clone()]).connect().await?;
        socket.send_binary(&[0x5a; SIZE]).await?;
        match socket.next().await? {
            Event::Binary(reply) if reply.len() == SIZE => Ok(socket),
            other => Err(format!("not the message that was sent: {other:?}").into()),
        }
    }
}
