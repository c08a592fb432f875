"""The runbooks of Connected Cache, with its parameters and messages, against a running node."""

import os
import pathlib
import re
import shutil

import pytest

from support.larder import PROGRAM, Node, origin_table
from support.program import ROOT, run
from support.tls import fingerprint, served_certificate
from support.wait import wait_until

RUNBOOKS = ROOT / "packaging/runbooks"
NAME = "mcc-node1.larder.test"
LOG = r"^You can find logs here: (.*/Certificates/logs/{}_\d{{8}}-\d{{6}}\.log)$"


class Runbooks:
    def __init__(self, node, folder):
        self.node, self.certificates = node, folder / "Certificates"
        self.environment = {"LARDER_CERTIFICATES_DIR": str(self.certificates), "LARDER_PROGRAM": str(PROGRAM),
                            "LARDER_CONFIG": str(node.config)}

    def __call__(self, name, *arguments, check=True):
        return run(RUNBOOKS / name, *arguments, check=check, environment=self.environment)

    def request(self, *more, algo=("-algo", "EC", "-keySizeOrCurve", "prime256v1"), name="mcc-node1", check=True):
        return self("generateCsr.sh", *algo, "-csrName", name, "-subjectCommonName", NAME, "-sanDns", NAME, *more,
                    check=check)

    def certificate(self, name):
        return self.certificates / "certs" / name


@pytest.fixture
def runbooks(tmp_path, origin):
    node = Node(tmp_path / "node", origins=[origin_table(origin)], names=[NAME]).start()
    yield Runbooks(node, tmp_path)
    node.stop()


def logged(done, name):
    """The text of the log that the output names."""
    found = re.search(LOG.format(name), done.stdout + done.stderr, re.M)
    assert found, done
    return pathlib.Path(found[1]).read_text()


def test_from_request_to_https_and_back(runbooks, authority, origin):
    done = runbooks.request("-subjectCountry", "DE", "-subjectState", "Hessen", "-subjectOrg", "Example, Inc",
                            "-sanIp", "127.0.0.1", "-sanRid", "1.2.3.4", "-sanUri", "https://mcc-node1.larder.test/", "-sanEmail",
                            "admin@larder.test")
    csr = pathlib.Path(re.search(r"^CSR file created at: (.*)$", done.stdout, re.M)[1])
    assert csr == runbooks.certificate("mcc-node1.csr")
    assert str(csr) in logged(done, "GenerateCsr")
    text = run("openssl", "req", "-in", csr, "-noout", "-text", "-verify").stdout
    for part in (f"CN = {NAME}", "C = DE", "ST = Hessen", "Example, Inc", f"DNS:{NAME}", "IP Address:127.0.0.1",
                 "URI:https://mcc-node1.larder.test/", "email:admin@larder.test", "prime256v1"):
        assert part in text
    assert not [path for path in runbooks.certificates.rglob("*")
                if path.is_file() and "PRIVATE KEY" in path.read_text()], "the key stays with the node"

    node, chain = runbooks.node, authority.sign(csr)
    shutil.copy(chain, runbooks.certificate("mcc-node1.crt"))
    logged(runbooks("importCert.sh", "-certName", "mcc-node1"), "ImportCert")
    wait_until(lambda: served_certificate(node.address, node.https_port, NAME) == fingerprint(chain))

    done = runbooks("ShowCertDetails.sh")
    sha1 = run("openssl", "x509", "-in", chain, "-noout", "-fingerprint", "-sha1").stdout.split("=")[1].strip()
    assert f"Thumbprint: {sha1.replace(':', '')}" in done.stdout
    year = run("openssl", "x509", "-in", chain, "-noout", "-enddate").stdout.split()[-2]
    assert re.search(rf"^Expiry date: {year}-\d\d-\d\dT", done.stdout, re.M)
    assert "State: active" in done.stdout
    logged(done, "ShowCertDetails")

    data = origin.write("runbook.bin", 50_000)
    before = set(runbooks.certificates.rglob("*"))
    logged(runbooks("disableTls.sh"), "DisableTls")
    wait_until(lambda: served_certificate(node.address, node.https_port, NAME) is None)
    assert node.get("/runbook.bin").body == data, "HTTP goes on"
    assert before <= set(runbooks.certificates.rglob("*")), "nothing is deleted"
    assert "State: disabled" in runbooks("ShowCertDetails.sh").stdout

    again = authority.sign(csr)  # the same request, signed once more: renewal
    shutil.copy(again, runbooks.certificate("renewed.crt"))
    done = runbooks("importCert.sh", "-certName", "renewed.crt")
    assert "HTTPS was disabled, and is enabled again." in logged(done, "ImportCert")
    wait_until(lambda: served_certificate(node.address, node.https_port, NAME) == fingerprint(again))


def test_details_are_those_of_what_was_imported_last(runbooks, authority):
    chains = {}
    for name, algo in (("z.rsa", ("-algo", "RSA", "-keySizeOrCurve", "2048")),
                       ("a.ec", ("-algo", "EC", "-keySizeOrCurve", "prime256v1"))):
        runbooks.request(algo=algo, name=name)
        chains[name] = authority.sign(runbooks.certificate(f"{name}.csr"))
    for name in ("a.ec", "z.rsa", "a.ec"):
        shutil.copy(chains[name], runbooks.certificate(f"{name}.crt"))
        runbooks("importCert.sh", "-certName", f"{name}.crt")
        assert f"Thumbprint (SHA-256): {fingerprint(chains[name])}" in runbooks("ShowCertDetails.sh").stdout


@pytest.mark.parametrize("algo, text", [
    (("--algorithm", "rsa", "-keySize", "2048"), "2048 bit"),
    (("-algo", "EC", "--keySizeOrCurve", "secp384r1"), "secp384r1"),
    (("-algo", "ED25519"), "ED25519"),
    (("-algo", "ED448"), "ED448")])
def test_every_algorithm_of_the_original(runbooks, algo, text):
    done = runbooks.request(algo=algo)
    printed = run("openssl", "req", "-in", runbooks.certificate("mcc-node1.csr"), "-noout", "-text").stdout
    assert text in printed
    assert ("warning: " in done.stdout) == text.startswith("ED")


def names_of(request):
    """The line of openssl's text with the alternative names."""
    text = run("openssl", "req", "-in", request, "-noout", "-text", "-verify", "-nameopt", "RFC2253").stdout
    return re.search(r"Subject Alternative Name: *\n +(.*)\n", text)[1]


@pytest.mark.parametrize("parameters, as_openssl_has_it, shown", [
    (("-sanRid", "1.2.3.4"), "RID:1.2.3.4", "Registered ID:1.2.3.4"),
    (("--sanRid", "1.2.3.4,2.5.4.3"), "RID:1.2.3.4,RID:2.5.4.3", "Registered ID:1.2.3.4, Registered ID:commonName"),
    (("-sanDirName", r"CN=node1,O=A\, B,C=DE"), "dirName:directory", "DirName:"),
    (("-sanOtherName", "1.3.6.1.4.1.311.20.2.3;node1@larder.test"),
     "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:node1@larder.test", "othername: UPN::node1@larder.test"),
    (("-SANOTHERNAME", "1.2.3.4.5;a b"), "otherName:1.2.3.4.5;UTF8:a b", "othername: 1.2.3.4.5::a b"),
], ids=["rid", "two-rids", "directory", "upn", "other"])
def test_rare_kinds_of_names_are_those_that_openssl_makes(runbooks, tmp_path, parameters, as_openssl_has_it, shown):
    runbooks.request(*parameters)
    (tmp_path / "openssl.cnf").write_text(
        f"[req]\ndistinguished_name=nobody\n[nobody]\n[names]\nsubjectAltName=DNS:{NAME},{as_openssl_has_it}\n"
        "[directory]\nCN=node1\nO=A, B\nC=DE\n")
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout",
        tmp_path / "reference.key", "-out", tmp_path / "reference.csr", "-subj", f"/CN={NAME}",
        "-config", tmp_path / "openssl.cnf", "-reqexts", "names")
    expected = names_of(tmp_path / "reference.csr")
    assert shown in expected, expected
    assert names_of(runbooks.certificate("mcc-node1.csr")) == expected


@pytest.mark.parametrize("parameter, value", [("-sanRid", "one.two"), ("-sanDirName", "node1"), ("-sanOtherName", "1.2.3")])
def test_a_name_of_a_rare_kind_that_is_none_is_refused(runbooks, parameter, value):
    done = runbooks.request(parameter, value, check=False)
    assert done.returncode != 0 and value in logged(done, "GenerateCsr")
    assert not runbooks.certificate("mcc-node1.csr").exists()


@pytest.mark.parametrize("missing, arguments", [
    ("-algo", ["-keySizeOrCurve", "prime256v1", "-csrName", "a", "-subjectCommonName", NAME, "-sanDns", NAME]),
    ("-keySizeOrCurve", ["-algo", "EC", "-csrName", "a", "-subjectCommonName", NAME, "-sanDns", NAME]),
    ("-csrName", ["-algo", "EC", "-keySizeOrCurve", "prime256v1", "-subjectCommonName", NAME, "-sanDns", NAME]),
    ("-subjectCommonName", ["-algo", "EC", "-keySizeOrCurve", "prime256v1", "-csrName", "a", "-sanDns", NAME]),
    ("-sanDns", ["-algo", "EC", "-keySizeOrCurve", "prime256v1", "-csrName", "a", "-subjectCommonName", NAME])])
def test_a_missing_parameter_is_named(runbooks, missing, arguments):
    done = runbooks("generateCsr.sh", *arguments, check=False)
    assert done.returncode == 2 and re.search(rf"{missing}\b.*(missing|required)", done.stderr), done
    assert not runbooks.certificates.exists(), "nothing was begun"



def test_a_refusal_says_why_and_where_the_log_is(runbooks, authority):
    runbooks.request()
    shutil.copy(authority.issue("stranger.test", f"DNS:{NAME}").chain, runbooks.certificate("stranger.crt"))
    done = runbooks("importCert.sh", "-certName", "stranger", check=False)
    assert done.returncode == 1 and "key" in done.stderr
    assert "key" in logged(done, "ImportCert")
    done = runbooks("importCert.sh", "-certName", "absent", check=False)
    assert done.returncode == 1 and "absent.crt" in done.stderr
    assert runbooks("importCert.sh", "-certName", "../absent", check=False).returncode == 2
    done = runbooks("generateCsr.sh", "-algo", "EC", "-keySizeOrCurve", "prime256v1", "-csrName", "mcc-node1",
                    "-subjectCommonName", NAME, "-sanDns", NAME, check=False)
    assert done.returncode == 1 and "exists" in logged(done, "GenerateCsr") or "already" in done.stderr


@pytest.mark.parametrize("name", ["generateCsr.sh", "importCert.sh", "disableTls.sh", "ShowCertDetails.sh"])
def test_help(runbooks, name):
    assert name in runbooks(name, "--help").stdout
    assert runbooks(name, "-h").stdout == runbooks(name, "--help").stdout
    assert runbooks(name, "-nonsense", "x", check=False).returncode == 2


@pytest.fixture(scope="module")
def grammar(folder):
    """Folder of modules with a grammar of PowerShell; $LARDER_POWERSHELL_GRAMMAR names one that is there already."""
    if given := os.environ.get("LARDER_POWERSHELL_GRAMMAR"):
        return pathlib.Path(given)
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("SKIPPED LOUDLY: the syntax of PowerShell files is checked with npm's tree-sitter-powershell")
    for file in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "tests/support/powershell" / file, folder)
    done = run("npm", "--prefix", folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"SKIPPED LOUDLY: npm cannot fetch the grammar of PowerShell: {done.stderr.strip()[-300:]}")
    return folder / "node_modules"


def check_syntax(grammar, *files):
    # The baseline compiler: the optimising one takes seconds for the grammar, to parse for milliseconds.
    return run("node", "--liftoff-only", ROOT / "tests/support/powershell/check_syntax.cjs", grammar, *files, check=False)


def test_powershell_twins_parse(grammar, tmp_path):
    """No PowerShell runs here: what is known of these files is that their syntax is right."""
    files = sorted(RUNBOOKS.glob("*.ps*1"))
    assert {file.stem for file in files} >= {file.stem for file in RUNBOOKS.glob("*.sh")} - {"runbook"}
    done = check_syntax(grammar, *files)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.ps1"
    broken.write_text(files[-1].read_text().replace(")\n", "\n", 1))
    assert check_syntax(grammar, broken).returncode == 1


def test_of_each_runbook_the_latest_fifty_logs_are_kept(runbooks):
    logs = runbooks.certificates / "logs"
    logs.mkdir(parents=True)
    old = [logs / f"GenerateCsr_20250101-{second:06}.log" for second in range(60)]
    others = [logs / "ImportCert_20240101-000000.log", logs / "GenerateCsr_notes.log"]
    for file in old + others:
        file.write_text("earlier\n")
    done = runbooks.request()
    assert "CSR file created" in logged(done, "GenerateCsr")
    kept = sorted(set(logs.iterdir()) - set(others))
    assert len(kept) == 50 and kept[:-1] == old[-49:], kept
    assert all(file.exists() for file in others), "of other runbooks, and what is none of theirs"
