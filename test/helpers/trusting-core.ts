/**
 * A Delta Chat core that trusts an authority of the test as it trusts those that everybody knows: a
 * copy of the program in which one root has the name and the key of the test's. Its checks are its
 * own. It has no setting for this.
 */
import { X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { type Authority, makeAuthority, subjectOf } from "./authorities.ts";
import { corePath } from "./delta-chat.ts";

/** A root with a key on P-256, a point of 65 bytes. */
const replaced = "CN=Amazon Root CA 3";
const pointBytes = 65;

export interface TrustingCore {
  program: string;
  remove(): void;
}

export interface OwnTrustingCore extends TrustingCore {
  authority: Authority;
}

/** With an authority made for it. */
export async function makeTrustingCore(): Promise<OwnTrustingCore> {
  const authority = await makeAuthority("A root of the test");
  return { ...(await coreThatTrusts(authority.pem)), authority };
}

/** `root`: its certificate in PEM format, with a key on P-256 and a name of 57 bytes at most. */
export async function coreThatTrusts(root: string): Promise<TrustingCore> {
  const known = rootCertificates.find((pem) => new X509Certificate(pem).subject.split("\n").includes(replaced));
  if (known === undefined) throw new Error(`Node knows no ${replaced}`);
  const program = readFileSync(corePath());
  const [was, is] = [await partsOf(known), await partsOf(root)];
  const at = program.indexOf(Buffer.concat([was.name, was.key]));
  if (at < 0) throw new Error(`the core has no root ${replaced}`);
  if (is.key.length !== was.key.length) throw new Error("the key of the root is not on P-256");
  if (is.name.length > was.name.length) throw new Error("the name of the root is too long");
  is.name.copy(program, at);
  is.key.copy(program, at + was.name.length);
  // where the name is and how long it is, in the list of the roots
  const address = addressOf(program, at);
  const entry = Buffer.alloc(16);
  entry.writeBigUInt64LE(address, 0);
  entry.writeBigUInt64LE(BigInt(was.name.length), 8);
  const listed = program.indexOf(entry);
  if (listed < 0) throw new Error(`the core does not list root ${replaced} as it did`);
  program.writeBigUInt64LE(BigInt(is.name.length), listed + 8);
  const folder = mkdtempSync(join(tmpdir(), "trusting-core-"));
  const path = join(folder, "core");
  writeFileSync(path, program);
  chmodSync(path, 0o755);
  return { program: path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** As webpki keeps a root: both without the header of the sequence that they are. */
async function partsOf(pem: string): Promise<{ name: Buffer; key: Buffer }> {
  const key = new X509Certificate(pem).publicKey.export({ format: "der", type: "spki" });
  const name = await subjectOf(pem);
  if (key.at(-pointBytes) !== 4) throw new Error("the key of the root is no point");
  return { name: name.subarray(2), key: key.subarray(2) };
}

/** Where a byte of the program's file is in its memory (ELF, 64 bits). */
function addressOf(program: Buffer, offset: number): bigint {
  const [headers, count, size] = [program.readBigUInt64LE(32), program.readUInt16LE(56), program.readUInt16LE(54)];
  for (let nth = 0; nth < count; nth++) {
    const header = program.subarray(Number(headers) + nth * size);
    const [from, address, length] = [8, 16, 32].map((at) => header.readBigUInt64LE(at)) as [bigint, bigint, bigint];
    const isLoaded = header.readUInt32LE(0) === 1;
    if (isLoaded && BigInt(offset) >= from && BigInt(offset) < from + length) return BigInt(offset) - from + address;
  }
  throw new Error("the core is no program of the kind that is known");
}
