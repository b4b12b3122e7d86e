//! The clients of a worker's connections, so that those with one chain share it, parsed.

use crate::{
    policy::{
        identity::{Identity, IdentityError},
        judgement::Standing,
    },
    tls::{client::Client, verified::chain_digest},
};
use rustls::pki_types::CertificateDer;
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, Weak},
};

/// The clients of a worker's connections, so that those with one chain share it, parsed.
#[derive(Default)]
pub struct KnownClients(RefCell<Table>);

#[derive(Default)]
struct Table {
    by_digest: HashMap<[u8; 32], Known>,
    /// How many chains there were left at the last look for those that are gone.
    left: usize,
}

struct Known {
    identity: Weak<Identity>,
    chain: Weak<[CertificateDer<'static>]>,
}

/// Chains that are known before the first look for those that are gone.
const KNOWN_AT_LEAST: usize = 64;

impl KnownClients {
    /// Who shows a chain, which is not empty, of whom nobody has said anything yet.
    pub(crate) fn client(
        &self,
        chain: &[CertificateDer<'static>],
    ) -> Result<Client, IdentityError> {
        let digest = chain_digest(chain);
        let mut table = self.0.borrow_mut();
        if let Some(client) = table.by_digest.get(&digest).and_then(Known::client) {
            return Ok(client);
        }
        table.forget_those_gone();
        let client = Client::read(chain)?;
        if let Some(identity) = &client.identity {
            let known_now = Known {
                identity: Arc::downgrade(identity),
                chain: Arc::downgrade(&client.chain),
            };
            table.by_digest.insert(digest, known_now);
        }
        Ok(client)
    }
}

impl Table {
    /// Looks through the table each time that it has doubled, so that a look costs little for each
    /// client that comes.
    fn forget_those_gone(&mut self) {
        if self.by_digest.len() < KNOWN_AT_LEAST.max(2 * self.left) {
            return;
        }
        self.by_digest
            .retain(|_, known| known.chain.strong_count() > 0);
        self.left = self.by_digest.len();
    }
}

impl Known {
    fn client(&self) -> Option<Client> {
        Some(Client {
            identity: Some(self.identity.upgrade()?),
            not_after: None,
            chain: self.chain.upgrade()?,
            standing: Standing::UnknownIssuer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn chain() -> Vec<CertificateDer<'static>> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        vec![certificate.der().clone()]
    }

    #[test]
    fn connections_with_one_chain_share_it() {
        let known = KnownClients::default();
        let (one, other) = (chain(), chain());
        let first = known.client(&one).unwrap();
        let second = known.client(&one).unwrap();
        assert!(Arc::ptr_eq(&first.chain, &second.chain));
        let stranger = known.client(&other).unwrap();
        assert!(!Arc::ptr_eq(&first.chain, &stranger.chain));
    }

    #[test]
    fn a_chain_is_forgotten_with_its_last_connection() {
        let known = KnownClients::default();
        let one = chain();
        let identity = Arc::downgrade(&known.client(&one).unwrap().identity.unwrap());
        assert!(identity.upgrade().is_none());
        assert!(known.client(&one).is_ok());
    }

    #[test]
    fn chains_that_are_gone_do_not_add_up() {
        let known = KnownClients::default();
        let (zero, one) = (chain().remove(0), chain().remove(0));
        for number in 0..1 << 9 {
            // Its bits, as certificates: every number is another chain.
            let bits = (0..9).map(|bit| number >> bit & 1 == 0);
            let chain: Vec<_> = bits
                .map(|bit| if bit { zero.clone() } else { one.clone() })
                .collect();
            drop(known.client(&chain));
        }
        let chains = known.0.borrow().by_digest.len();
        assert!(chains <= 2 * KNOWN_AT_LEAST, "{chains}");
    }
}
