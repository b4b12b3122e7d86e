"""A CA that certs.sh made: more certificates of it, and its revocation lists, which openssl signs."""

import datetime
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONFIG = """
[ca]
default_ca = any
[any]
database = index.txt
crlnumber = number
default_md = sha256
default_crl_days = 1
crl_extensions = list
[list]
authorityKeyIdentifier = keyid:always
"""
EVER = "20991231000000Z"


class Authority:
    """The CA with this name; what it issues goes into `folder`."""

    def __init__(self, credentials, name, folder):
        self.chain, self.key_file = credentials.chain(name), credentials.key(name)
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        (self.folder / "openssl.cnf").write_text(CONFIG)
        (self.folder / "number").write_text("01\n")

    def issue(self, name, seconds=86_400):
        """NAME.pem with the whole chain and NAME.key; gives the end of validity in Unix time."""
        signer = x509.load_pem_x509_certificate(self.chain.read_bytes())
        signing_key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        end = now + datetime.timedelta(seconds=seconds)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(signer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(end)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(f"{name}.edge.example.com")]), critical=False
            )
            .sign(signing_key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.pem(name).write_bytes(certificate.public_bytes(pem) + self.chain.read_bytes())
        plain = serialization.NoEncryption()
        self.key(name).write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        return end.timestamp()

    def pem(self, name):
        return self.folder / f"{name}.pem"

    def key(self, name):
        return self.folder / f"{name}.key"

    def revocation_list(self, chains=()):
        """A list, in PEM, that names the leaves of these files."""
        leaves = [x509.load_pem_x509_certificate(chain.read_bytes()) for chain in chains]
        lines = [self.revoked(f"{leaf.serial_number:x}") for leaf in leaves]
        (self.folder / "index.txt").write_text("".join(lines))
        command = ["openssl", "ca", "-gencrl", "-config", "openssl.cnf"]
        signer = ["-cert", self.chain, "-keyfile", self.key_file]
        done = subprocess.run([*command, *signer], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @staticmethod
    def revoked(serial):
        """A line of openssl's database: state, end, moment of revocation, number, file, subject."""
        moment = datetime.datetime.now(datetime.UTC).strftime("%y%m%d%H%M%SZ")
        even = serial.upper().zfill(len(serial) + len(serial) % 2)
        return f"R\t{EVER}\t{moment}\t{even}\tunknown\t/CN=any\n"
