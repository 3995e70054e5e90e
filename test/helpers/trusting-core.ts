/**
 * A Delta Chat core that trusts an authority of the test as it trusts those that everybody knows: a
 * copy of the program in which the key of one root is the test's. Its checks are its own. It has no
 * setting for this.
 */
import { X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { type Authority, makeAuthority } from "./authorities.ts";
import { corePath } from "./delta-chat.ts";

/** A root with a key on P-256, a point of 65 bytes. */
const replaced = "CN=Amazon Root CA 3";

export interface TrustingCore {
  program: string;
  authority: Authority;
  remove(): void;
}

export async function makeTrustingCore(): Promise<TrustingCore> {
  const named = rootCertificates.find((pem) => new X509Certificate(pem).subject.split("\n").includes(replaced));
  if (named === undefined) throw new Error(`Node knows no ${replaced}`);
  const authority = await makeAuthority("", { named, days: [-30, 3650] });
  const point = new X509Certificate(named).publicKey.export({ format: "der", type: "spki" }).subarray(-65);
  const bytes = readFileSync(corePath());
  const at = bytes.indexOf(point);
  if (at < 0 || authority.publicKey.length !== point.length) throw new Error(`the core has no key of ${replaced}`);
  authority.publicKey.copy(bytes, at);
  const folder = mkdtempSync(join(tmpdir(), "trusting-core-"));
  const program = join(folder, "core");
  writeFileSync(program, bytes);
  chmodSync(program, 0o755);
  return { program, authority, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
