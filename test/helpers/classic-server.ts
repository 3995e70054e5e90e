/**
 * A mail server as others run it: Postfix with plain Maildirs, and OpenDKIM that signs what its
 * users write and checks what comes. Postfix is the relay image's, with nothing of ours in its
 * configuration; OpenDKIM is a process beside the test.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { makeRsaKey } from "../../src/dns/dkim-key.ts";
import { docker, tryDocker } from "../lab/docker.ts";
import { nameServer } from "../lab/names.ts";
import { addresses, labName } from "../lab/place.ts";
import { accepts } from "./accepts.ts";
import { freePort } from "./free-port.ts";
import { relayImage } from "./relay-image.ts";
import { patienceMs, until } from "./until.ts";

export interface ClassicServer {
  host: string;
  /** For publishZone: MX, SPF and the key. */
  zone: string;
  /** The mails of a user, whole. */
  mails(user: string): Promise<string[]>;
  logs(): Promise<string>;
  remove(): Promise<void>;
}

const selector = "classic";

/**
 * Takes mail for its domain from everybody and sends what this process, at the lab's own address,
 * hands in on port 25. Needs opendkim.
 */
export async function startClassicServer(domain: string): Promise<ClassicServer> {
  const image = await relayImage();
  const folder = mkdtempSync(join(tmpdir(), "classic-server-"));
  const name = `classic-${folder.slice(folder.lastIndexOf("-") + 1).toLowerCase()}`;
  const keyPem = await makeRsaKey();
  const { certificatePem, keyPem: tlsKeyPem } = await makeSelfSigned(domain, new Date());
  const milterPort = await freePort(addresses.gateway);
  const files = {
    "main.cf": settings({
      compatibility_level: "3.10",
      myhostname: domain,
      mydestination: "",
      mynetworks: `127.0.0.0/8, ${addresses.gateway}/32`,
      virtual_mailbox_domains: domain,
      virtual_mailbox_base: "/var/mail",
      virtual_mailbox_maps: "static:all/",
      virtual_uid_maps: "static:5000",
      virtual_gid_maps: "static:5000",
      virtual_minimum_uid: "100",
      local_recipient_maps: "",
      maillog_file: "/dev/stdout",
      smtpd_milters: `inet:${addresses.gateway}:${milterPort}`,
      smtpd_tls_chain_files: "/etc/classic/tls.key, /etc/classic/tls.crt",
      smtpd_tls_security_level: "may",
      smtp_tls_security_level: "encrypt",
      smtp_tls_loglevel: "1",
      smtpd_tls_received_header: "yes",
      default_database_type: "cdb",
      alias_maps: "",
    }),
    "master.cf": services,
    "tls.key": tlsKeyPem,
    "tls.crt": certificatePem,
  };
  mkdirSync(join(folder, "postfix"), { mode: 0o755 });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, "postfix", file), text, { mode: 0o644 });

  const milter = await startOpenDkim({ folder, domain, keyPem, port: milterPort });
  const stop = async () => {
    await tryDocker(["rm", "-f", "-v", name]);
    await milter.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const start = [
      "mkdir -p /var/mail/all && chown 5000:5000 /var/mail/all && mkdir -p /var/spool/postfix/pid && chown root /var/spool/postfix",
      "chown postfix /var/lib/postfix; exec postfix -c /etc/classic start-fg",
    ].join(" && ");
    const place = ["--network", labName, "--user", "0:0", "--volume", `${join(folder, "postfix")}:/etc/classic:ro`];
    await docker([
      "run",
      "-d",
      "--name",
      name,
      "--hostname",
      "classic",
      ...place,
      "--entrypoint",
      "sh",
      image,
      "-c",
      start,
    ]);
    const network = `{{(index .NetworkSettings.Networks "${labName}").IPAddress}}`;
    const host = await docker(["inspect", "--format", network, name]);
    const logs = async () => {
      const { stdout, stderr } = await tryDocker(["logs", name]);
      return stdout + stderr;
    };
    await until("the classic server", () => accepts(host, 25), { patienceMs: patienceMs.client, everyMs: 100 }).catch(
      async (cause) => {
        throw new Error(`${String(cause)}\n${await logs()}`, { cause });
      },
    );
    return {
      host,
      zone: [
        `@ A ${host}`,
        "@ MX 10 @",
        '@ TXT "v=spf1 mx -all"',
        `${selector}._domainkey TXT ( ${dkimRecord(keyPem)} )`,
      ].join("\n"),
      mails: async (user) => {
        const script =
          'cd /var/mail/all/new 2>/dev/null || exit 0; for f in $(grep -l -i "^Delivered-To: $0" *); do cat "$f"; printf "\\0"; done';
        const text = await docker(["exec", name, "sh", "-c", script, user]);
        return text.split("\0").filter((mail) => mail.trim() !== "");
      },
      logs,
      remove: stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/** The TXT record of the key, in strings as a zone file wants a long text. */
function dkimRecord(keyPem: string): string {
  const publicKey = createPublicKey(keyPem).export({ type: "spki", format: "der" }).toString("base64");
  const parts = `v=DKIM1; k=rsa; p=${publicKey}`.match(/.{1,250}/g) ?? [];
  return parts.map((part) => `"${part}"`).join(" ");
}

const settings = (all: Readonly<Record<string, string>>) =>
  Object.entries(all)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join("");

const services = [
  "smtp inet n - n - - smtpd",
  "cleanup unix n - n - 0 cleanup",
  "qmgr unix n - n 300 1 qmgr",
  "tlsmgr unix - - n 1000? 1 tlsmgr",
  "rewrite unix - - n - - trivial-rewrite",
  "bounce unix - - n - 0 bounce",
  "defer unix - - n - 0 bounce",
  "trace unix - - n - 0 bounce",
  "proxymap unix - - n - - proxymap",
  "smtp unix - - n - - smtp",
  "error unix - - n - - error",
  "retry unix - - n - - error",
  "virtual unix - n n - - virtual",
  "anvil unix - - n - 1 anvil",
  "scache unix - - n - 1 scache",
  "postlog unix-dgram n - n - 1 postlogd",
  "",
].join("\n");

/** Signs for this process, checks for everybody else, with what the lab's name server says. */
async function startOpenDkim(options: {
  folder: string;
  domain: string;
  keyPem: string;
  port: number;
}): Promise<{ stop(): Promise<void> }> {
  const { folder, domain, keyPem, port } = options;
  const path = (file: string) => join(folder, file);
  writeFileSync(path("key"), keyPem, { mode: 0o600 });
  const conf = {
    Syslog: "no",
    Mode: "sv",
    Socket: `inet:${port}@${addresses.gateway}`,
    Domain: domain,
    Selector: selector,
    KeyFile: path("key"),
    Canonicalization: "relaxed/relaxed",
    InternalHosts: addresses.gateway,
    Nameservers: nameServer,
    RequireSafeKeys: "no",
    AlwaysAddARHeader: "yes",
    AuthservID: domain,
  };
  const text = Object.entries(conf).map(([key, value]) => `${key} ${value}\n`);
  writeFileSync(path("opendkim.conf"), text.join(""));
  const child: ChildProcess = spawn("/usr/sbin/opendkim", ["-f", "-x", path("opendkim.conf")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += chunk;
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL"); // on SIGTERM it lingers for seconds
    await ended;
  };
  await until("OpenDKIM", () => accepts(addresses.gateway, port)).catch(async (cause) => {
    await stop();
    throw new Error(`${String(cause)} ${said}`, { cause });
  });
  return { stop };
}
