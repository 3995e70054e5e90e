/**
 * Looks at the certificate's Secret, and serves what it finds there once key and certificate belong together: one file for Postfix,
 * Dovecot and nginx, replaced by a rename, so that nobody ever reads two halves. Then Postfix and Dovecot are told; nginx reads it at each
 * handshake. A pair that is broken changes nothing.
 *
 * It looks by the clock: the kubelet itself takes up to a minute, and watches (inotify) are what Dovecots on a node run short of.
 */
import { readFile, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Logger } from "pino";
import { joinedPem, readPair, sha256Of } from "../../certificates/pair.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { givenTls, servedTls } from "../../pod/layout.ts";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { tellProgram } from "../programs.ts";

export interface CertificateOptions {
  /** Without one, nothing is served and nothing is missed. */
  tlsFolder?: string | undefined;
  runFolder: string;
  log: Logger;
}

const checkEveryMs = 2_000;

interface GivenPair {
  certificatePem: string;
  keyPem: string;
}

export class Certificate {
  readonly #options: CertificateOptions;
  readonly #servedFile: string;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #checked: GivenPair | undefined;
  #serves = false;
  #refusal: string | undefined;

  constructor(options: CertificateOptions) {
    this.#options = options;
    this.#servedFile = join(options.runFolder, basename(servedTls));
  }

  /** Resolves after the first look. */
  async start(): Promise<void> {
    const { tlsFolder } = this.#options;
    if (tlsFolder === undefined) return;
    this.#serves = (await readIfThere(this.#servedFile)) !== undefined;
    await this.#check(tlsFolder);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Why nothing is served. A pair that is refused while another is served is no reason to send clients away. */
  problem(): string | undefined {
    if (this.#options.tlsFolder === undefined || this.#serves) return undefined;
    return this.#refusal ?? "the certificate has not been looked at yet";
  }

  async #check(tlsFolder: string): Promise<void> {
    try {
      await this.#serve(await givenPair(tlsFolder));
    } catch (thrown) {
      this.#refuse(`it can't be read or written: ${codeOf(thrown) ?? messageOf(thrown)}`);
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#check(tlsFolder), checkEveryMs);
  }

  async #serve(given: GivenPair): Promise<void> {
    if (this.#checked && isSame(this.#checked, given)) return;
    const pair = readPair(given);
    if ("problem" in pair) {
      this.#checked = given;
      return this.#refuse(pair.problem);
    }
    const pem = joinedPem(pair);
    // as it is after a restart of this daemon alone
    if ((await readIfThere(this.#servedFile)) !== pem) {
      await replaceFile(this.#servedFile, pem);
      this.#tell();
      const { certificate } = pair;
      events.certificateServed(this.#options.log, sha256Of(certificate), new Date(certificate.validTo).toISOString());
    }
    this.#checked = given;
    this.#serves = true;
    this.#refusal = undefined;
  }

  #refuse(why: string): void {
    if (this.#refusal !== why) events.certificateRefused(this.#options.log, why);
    this.#refusal = why;
  }

  #tell(): void {
    // nginx reads it at each handshake
    for (const program of ["postfix", "dovecot"] as const) {
      try {
        tellProgram(this.#options.runFolder, program);
      } catch (thrown) {
        events.reloadNotAsked(this.#options.log, program, thrown);
      }
    }
  }
}

/** Both of one moment: the kubelet swaps the folder behind `..data`. */
async function givenPair(tlsFolder: string): Promise<GivenPair> {
  const folder = await realpath(join(tlsFolder, "..data")).catch(() => tlsFolder);
  const read = (path: string) => readFile(join(folder, basename(path)), "utf8");
  const [certificatePem, keyPem] = await Promise.all([read(givenTls.certificate), read(givenTls.key)]);
  return { certificatePem, keyPem };
}

const isSame = (one: GivenPair, other: GivenPair) =>
  one.certificatePem === other.certificatePem && one.keyPem === other.keyPem;
