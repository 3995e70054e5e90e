/**
 * Checks the Secret of each domain's certificate, and serves what it finds there once key and
 * certificate belong together: one file for Postfix, Dovecot and nginx, replaced by a rename, so
 * that nobody ever reads two halves. Then Postfix and Dovecot are told; nginx reads it at each
 * handshake. A pair that is broken, or gone, changes nothing: after a restart of the pod the last
 * one that could be served, of which the operator keeps a copy, stands in for it.
 *
 * While a domain has no certificate, its file is a link to that of another domain: the programs
 * find all files that they name, so the others are served, and its own clients see a wrong name.
 *
 * It checks by the clock: the kubelet itself takes up to a minute, and watches (inotify) are what
 * Dovecots on a node run short of.
 */
import { mkdir, readdir, readFile, readlink, rename, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Logger } from "pino";
import { joinedPem, type ReadPair, readPair, sha256Of } from "../../certificates/pair.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { domainFile, domainFolder, folders, givenTls, lastTls } from "../../pod/layout.ts";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { tellProgram } from "../programs.ts";

export interface CertificateOptions {
  /** Where each domain has a folder. Without it, nothing is served and nothing is missed. */
  tlsFolder?: string | undefined;
  runFolder: string;
  /** Those that are served now. */
  domains: () => readonly string[];
  log: Logger;
}

const checkEveryMs = 2_000;

interface GivenPair {
  certificatePem: string;
  keyPem: string;
}

/** The certificate that clients get. */
export interface ServedCertificate {
  sha256: string;
  notAfter: string;
}

/** What is known of one domain. */
interface Known {
  checked?: GivenPair;
  /**
   * Where the link `..data` led then: the kubelet swaps it, and only then, when the Secret has
   * changed.
   */
  data?: string | undefined;
  /** Its own, and not another domain's. */
  serves: boolean;
  served?: ServedCertificate;
  refusal?: string;
}

const notChecked = "the certificate has not been checked yet";

export class Certificates {
  readonly #options: CertificateOptions;
  /** Of what is served. */
  readonly #folder: string;
  readonly #known = new Map<string, Known>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** One check at a time. */
  #checking: Promise<void> = Promise.resolve();

  constructor(options: CertificateOptions) {
    this.#options = options;
    this.#folder = join(options.runFolder, basename(folders.servedTls));
  }

  /** Resolves after the first check. */
  async start(): Promise<void> {
    if (this.#options.tlsFolder === undefined) return;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.prepare();
    this.#checkLater();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /**
   * Checks now those of the domains that are served and these: each has a file that can be read, if
   * any domain has a certificate.
   */
  prepare(more: readonly string[] = []): Promise<void> {
    this.#checking = this.#checking.then(async () => {
      const { tlsFolder, domains } = this.#options;
      if (tlsFolder !== undefined) await this.#check(tlsFolder, [...new Set([...domains(), ...more])]);
    });
    return this.#checking;
  }

  /** Removes what was served for domains that no program knows any more. */
  async forgetOthers(): Promise<void> {
    const { domains, tlsFolder } = this.#options;
    if (tlsFolder === undefined) return;
    const wanted = domains();
    const files = wanted.map(domainFile);
    const left = (await readdir(this.#folder)).filter((name) => !name.startsWith(".") && !files.includes(name));
    for (const domain of this.#known.keys()) if (!wanted.includes(domain)) this.#known.delete(domain);
    // some may be links to what is removed
    if (left.length > 0) await this.prepare();
    for (const name of left) await rm(join(this.#folder, name), { force: true });
  }

  /**
   * By domain, why its own certificate is not served. A pair that is refused while another is
   * served is no reason to send clients away.
   */
  problems(): Record<string, string> {
    const { domains, tlsFolder } = this.#options;
    if (tlsFolder === undefined) return {};
    const problems = domains().flatMap((domain) => {
      const known = this.#known.get(domain);
      return known?.serves ? [] : [[domain, known?.refusal ?? notChecked] as const];
    });
    return Object.fromEntries(problems);
  }

  /** By domain, what is served; one whose certificate this daemon has not read yet is missing. */
  served(): Record<string, ServedCertificate> {
    const served = this.#options.domains().flatMap((domain) => {
      const known = this.#known.get(domain);
      return known?.serves && known.served ? [[domain, known.served] as const] : [];
    });
    return Object.fromEntries(served);
  }

  #checkLater(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.prepare().then(() => this.#checkLater()), checkEveryMs);
  }

  async #check(tlsFolder: string, domains: readonly string[]): Promise<void> {
    const inUse = this.#options.domains();
    let isChanged = false;
    for (const domain of domains) {
      const known = this.#known.get(domain) ?? { serves: await this.#isOwn(domain) };
      this.#known.set(domain, known);
      try {
        const mounted = domainFolder(tlsFolder, domain);
        const data = await linkAt(join(mounted, "..data"));
        if (data !== undefined && data === known.data) continue;
        const folder = data === undefined ? mounted : join(mounted, data);
        const isNew = await this.#serveGiven(domain, known, folder);
        const isLast = !known.serves && (await this.#serveLast(domain, known, join(folder, lastTls)));
        known.data = data;
        if ((isNew || isLast) && inUse.includes(domain)) isChanged = true;
      } catch (thrown) {
        this.#refuse(domain, known, unreadable(thrown));
      }
    }
    await this.#standIn(domains).catch((thrown: unknown) =>
      events.certificateRefused(this.#options.log, domains[0] ?? "", messageOf(thrown)),
    );
    if (isChanged) this.#tell();
  }

  /** Whether what is served has changed. */
  async #serveGiven(domain: string, known: Known, folder: string): Promise<boolean> {
    const given = await givenPair(folder).catch((thrown: unknown) => ({ unread: unreadable(thrown) }));
    if ("unread" in given) {
      this.#refuse(domain, known, given.unread);
      return false;
    }
    if (known.checked && isSame(known.checked, given)) return false;
    const pair = readPair(given);
    if ("problem" in pair) {
      known.checked = given;
      this.#refuse(domain, known, pair.problem);
      return false;
    }
    const isNew = await this.#serve(domain, known, pair);
    known.checked = given;
    delete known.refusal;
    return isNew;
  }

  /** Why the given one is not served is still said in the log. */
  async #serveLast(domain: string, known: Known, folder: string): Promise<boolean> {
    const given = await givenPair(folder).catch(() => undefined);
    const pair = given && readPair(given);
    return pair !== undefined && !("problem" in pair) && this.#serve(domain, known, pair);
  }

  /** Whether it is another one than before. */
  async #serve(domain: string, known: Known, pair: ReadPair): Promise<boolean> {
    const pem = joinedPem(pair);
    // as it is after a restart of this daemon alone
    const isNew = !known.serves || (await readIfThere(this.#fileOf(domain))) !== pem;
    const { certificate } = pair;
    const served = { sha256: sha256Of(certificate), notAfter: new Date(certificate.validTo).toISOString() };
    if (isNew) {
      await replaceFile(this.#fileOf(domain), pem);
      events.certificateServed(this.#options.log, { domain, ...served });
    }
    known.served = served;
    known.serves = true;
    return isNew;
  }

  /** A link to the first certificate that there is, for each domain that has none. */
  async #standIn(domains: readonly string[]): Promise<void> {
    const serving = domains.filter((domain) => this.#known.get(domain)?.serves);
    const [other] = serving;
    if (other === undefined) return;
    for (const domain of domains.filter((each) => !serving.includes(each))) {
      const file = this.#fileOf(domain);
      if (serving.includes((await linkAt(file)) ?? "")) continue;
      const link = this.#fileOf(".new");
      await rm(link, { force: true });
      await symlink(other, link);
      await rename(link, file);
    }
  }

  async #isOwn(domain: string): Promise<boolean> {
    const file = this.#fileOf(domain);
    // one that can't be read is written anew
    const text = await readIfThere(file).catch(() => undefined);
    return text !== undefined && (await linkAt(file)) === undefined;
  }

  #fileOf(domain: string): string {
    return domainFolder(this.#folder, domain);
  }

  #refuse(domain: string, known: Known, why: string): void {
    if (known.refusal !== why) events.certificateRefused(this.#options.log, domain, why);
    known.refusal = why;
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

const unreadable = (thrown: unknown) => `it can't be read or written: ${codeOf(thrown) ?? messageOf(thrown)}`;

/** Where a link leads; undefined where there is none. */
const linkAt = (path: string): Promise<string | undefined> => readlink(path).catch(() => undefined);

/** Both of one moment, where the folder is one that the kubelet does not write to any more. */
async function givenPair(folder: string): Promise<GivenPair> {
  const read = (name: string) => readFile(join(folder, name), "utf8");
  const [certificatePem, keyPem] = await Promise.all([read(givenTls.certificate), read(givenTls.key)]);
  return { certificatePem, keyPem };
}

const isSame = (one: GivenPair, other: GivenPair) =>
  one.certificatePem === other.certificatePem && one.keyPem === other.keyPem;
