/** Backups in a real S3 server: written, verified, listed, thinned out, restored and refused. */
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle } from "../../scripts/build.ts";
import { packArchive } from "../../src/backup/archive.ts";
import { makeBackup } from "../../src/backup/backup.ts";
import { drill } from "../../src/backup/drill.ts";
import { decrypted, encrypted } from "../../src/backup/encryption.ts";
import { inPieces } from "../../src/backup/pieces.ts";
import { restoreMail } from "../../src/backup/restore.ts";
import { s3Destination } from "../../src/backup/s3.ts";
import { type S3Server, s3ServerIsMissing, startS3Server } from "../helpers/s3-server.ts";
import { until } from "../helpers/until.ts";
import { limits, settings } from "../unit/relay/settings.ts";

const domain = "nine.example.org";
const mebibyte = 2 ** 20;
const missing = s3ServerIsMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("a backup in S3", () => {
  let folder: string;
  let s3: S3Server;
  let client: S3Client;
  let identity: string;
  let recipient: string;
  const at = (...parts: string[]) => join(folder, ...parts);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "chatmail-backup-"));
    identity = await generateIdentity();
    recipient = await identityToRecipient(identity);
    for (const name of ["alice", "bob"]) {
      const home = `mail/${domain}/${name}@${domain}`;
      put(`${home}/password`, "{SHA512-CRYPT}$6$salt$hash");
      put(`${home}/dovecot-uidlist`, "3 V1 N3 G1\n1 :1.eml\n");
      // as little as gzip makes of encrypted mail: more than one part of an upload
      put(`${home}/cur/1.eml:2,S`, randomBytes(9 * mebibyte));
    }
    await bundle(["backup"], at("bundles"));
    s3 = await startS3Server();
    const { endpoint = "", region, accessKeyId, secretAccessKey } = s3.options;
    client = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
  });
  afterAll(async () => {
    client?.destroy();
    await s3?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function put(path: string, contents: string | Buffer): void {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), contents);
  }

  /** A bucket that nobody else uses. */
  let buckets = 0;
  function bucket() {
    const name = `bucket-${++buckets}`;
    s3.addBucket(name);
    return { ...s3.options, bucket: name, prefix: `${domain}/` };
  }
  type Options = ReturnType<typeof bucket>;

  interface Wanted {
    time?: string;
    keep?: number;
    contents?: "Identity" | "All";
  }
  const backup = (options: Options, { time = "2026-11-29T22:18:00Z", keep = 3, contents = "All" }: Wanted = {}) =>
    makeBackup({
      manifest: { server: "nine", domains: [domain], time },
      sources: { mailFolder: at("mail"), identity: [], contents },
      recipients: [recipient],
      destination: s3Destination(options),
      keep,
    });
  const restore = async (options: Options, name: string, { key = identity, into = "restored" } = {}) =>
    restoreMail(await decrypted(await s3Destination(options).read(name), key), at(into));

  async function keysIn({ bucket: Bucket }: Options): Promise<string[]> {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    return Contents.map(({ Key = "" }) => Key);
  }
  /** Parts of an upload that never ended: they cost money, and no list shows them. */
  async function uploadsIn({ bucket: Bucket }: Options): Promise<number> {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
    return Uploads.length;
  }
  async function bytesOf({ bucket: Bucket, prefix }: Options, name: string): Promise<Buffer> {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: prefix + name }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }
  const replace = ({ bucket: Bucket, prefix }: Options, name: string, Body: Buffer) =>
    client.send(new PutObjectCommand({ Bucket, Key: prefix + name, Body }));
  /** Whatever a client or another restore would take for a mailbox. */
  const restoredIn = (into: string) => {
    try {
      return readdirSync(at(into)).filter((name) => !name.startsWith("."));
    } catch {
      return [];
    }
  };

  describe("by the program of the relay image", () => {
    interface Ended {
      code: number;
      text: string;
    }
    function program(options: Options, mailFolder: string, ...args: string[]): Promise<Ended> {
      const { endpoint = "", region, bucket: name, prefix, accessKeyId, secretAccessKey } = options;
      put("relay.json", JSON.stringify(settings({ domains: { [domain]: limits() }, mailFolder: at(mailFolder) })));
      const place = ["--bucket", name, "--region", region, "--endpoint", endpoint, "--prefix", prefix, "--path-style"];
      const env = {
        PATH: process.env.PATH,
        RELAY_CONFIG: at("relay.json"),
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      };
      return new Promise((done) =>
        execFile(process.execPath, [at("bundles/backup.js"), ...args, ...place], { env }, (error, stdout, stderr) =>
          done({ code: error ? Number(error.code ?? 1) : 0, text: stdout + stderr }),
        ),
      );
    }

    test("it is made, listed and restored", async () => {
      const options = bucket();
      const made = await program(
        options,
        "mail",
        "create",
        "--server=nine",
        "--contents=All",
        "--recipient",
        recipient,
      );
      expect(made).toMatchObject({ code: 0 });
      const report: Record<string, unknown> = JSON.parse(made.text);
      expect(report).toMatchObject({ accounts: 2, messages: 2, entries: 6, deleted: [] });
      expect(made.text).not.toContain("alice");
      const name = String(report.name);
      expect(await keysIn(options)).toEqual([`${domain}/${name}`]);
      expect(JSON.parse((await program(options, "mail", "list")).text).names).toEqual([name]);

      put("identities", `# created: 2026\n${identity}\n`);
      const back = await program(options, "by-program", "restore", "--file", name, "--identities", at("identities"));
      expect(back).toMatchObject({ code: 0 });
      for (const who of ["alice", "bob"])
        for (const file of ["password", "cur/1.eml:2,S", "dovecot-uidlist"]) {
          const path = join(domain, `${who}@${domain}`, file);
          expect(readFileSync(at("by-program", path)).equals(readFileSync(at("mail", path)))).toBe(true);
        }
    });

    test("a new volume is filled from the newest, once, and by none of another domain", async () => {
      const options = bucket();
      const { name } = await backup(options, { time: "2026-11-29T22:18:00Z", contents: "Identity" });
      await backup(options, { time: "2026-11-28T22:18:00Z", contents: "Identity" });
      put("identities", identity);
      const begin = (...args: string[]) =>
        program(options, "mail", "bootstrap", "--into", at("new"), "--identities", at("identities"), ...args);
      const other = await begin("--domain", "ten.example.org");
      expect(other).toEqual({ code: 1, text: `backup: this is a backup of ${domain}, and not of ten.example.org\n` });
      expect(restoredIn("new")).toEqual([]);
      const first = await begin("--domain", domain);
      expect(JSON.parse(first.text)).toMatchObject({ restored: true, name, accounts: 2, contents: "Identity" });
      // neither the store nor the key has to be there any more
      rmSync(at("identities"));
      const again = await program(
        { ...options, bucket: "none" },
        "mail",
        "bootstrap",
        "--into",
        at("new"),
        "--domain",
        domain,
      );
      expect(JSON.parse(again.text)).toMatchObject({ restored: false, why: "the volume has accounts" });
      put("identities", identity);
      const drilled = await program(options, "mail", "drill", "--domain", domain, "--identities", at("identities"));
      expect(JSON.parse(drilled.text)).toMatchObject({ name, accounts: 2, entries: 2, time: "2026-11-29T22:18:00Z" });
      const empty = await program(bucket(), "mail", "bootstrap", "--into", at("other"), "--domain", domain);
      expect(empty).toMatchObject({
        code: 1,
        text: expect.stringMatching(/^backup: there is no backup of /) as unknown,
      });
    });

    /** As exec runs it in the relay pod. */
    function piped(args: readonly string[], input?: AsyncIterable<Uint8Array>) {
      const child = spawn(process.execPath, [at("bundles/backup.js"), ...args], {
        env: { PATH: process.env.PATH, RELAY_CONFIG: at("relay.json") },
      });
      const output = buffer(child.stdout);
      const said = text(child.stderr);
      child.stdin.on("error", () => undefined);
      // left open: not every API server can say that it has ended
      const sent = input && Readable.from(input).pipe(child.stdin, { end: false });
      const ended = once(child, "exit") as Promise<[number]>;
      const result = async () => {
        const [code] = await ended;
        sent?.destroy();
        return { code, output: await output, said: await said };
      };
      return { child, result: result() };
    }

    test("it comes out of a pod as a stream, and fills one that waits for it", async () => {
      put("relay.json", JSON.stringify(settings({ domains: { [domain]: limits() }, mailFolder: at("mail") })));
      const streaming = ["stream", "--server=nine", "--contents=All", "--recipient", recipient];
      const out = await piped(streaming).result;
      const report: Record<string, unknown> = JSON.parse(out.said);
      expect(report).toMatchObject({ accounts: 2, messages: 2, size: out.output.length });
      expect(report.sha256).toBe(createHash("sha256").update(out.output).digest("hex"));
      expect(await piped(streaming.slice(0, -2)).result).toMatchObject({ code: 1, output: Buffer.alloc(0) });

      const into = ["--domain", domain, "--into", at("uploaded")];
      mkdirSync(at("uploaded"));
      const waiting = piped(["bootstrap", "--upload", ...into]);
      const clear = async () =>
        inPieces(await decrypted(new Blob([out.output]).stream(), identity)) as AsyncIterable<Uint8Array>;
      const cut = async function* () {
        let left = 5 * mebibyte;
        for await (const piece of await clear()) {
          left -= piece.length;
          if (left < 0) return;
          yield piece;
        }
      };
      const broken = piped(["receive", ...into], cut());
      await until("a part to have come", () => readdirSync(at("uploaded")).some((name) => !name.includes("pid")));
      broken.child.stdin.end();
      expect(await broken.result).toMatchObject({
        code: 1,
        said: expect.stringMatching(/^backup: this backup can't be read|^backup: the connection ended/) as unknown,
      });
      expect(readdirSync(at("uploaded"))).toEqual([]);
      const other = await piped(["receive", ...into.with(1, "ten.example.org")], await clear()).result;
      expect(other.said).toBe(`backup: this is a backup of ${domain}, and not of ten.example.org\n`);
      const whole = await piped(["receive", ...into], await clear()).result;
      expect(JSON.parse(whole.output.toString())).toMatchObject({ accounts: 2, files: 6 });
      expect(await waiting.result).toMatchObject({ code: 0 });
      expect(readdirSync(at("uploaded"))).toEqual([domain]);
      const [who] = readdirSync(at("uploaded", domain));
      const path = join(domain, who ?? "", "cur/1.eml:2,S");
      expect(readFileSync(at("uploaded", path)).equals(readFileSync(at("mail", path)))).toBe(true);
    });

    test("a store with an authority of its own is trusted where that is named, and else the message says what to do", async () => {
      const secure = await startS3Server("127.0.0.1", { tls: true });
      try {
        const options = { ...secure.options, prefix: `${domain}/` };
        put("authority.pem", secure.authority ?? "");
        const creating = ["create", "--server=nine", "--recipient", recipient];
        const refused = await program(options, "mail", ...creating);
        expect(refused.code).toBe(1);
        expect(refused.text).toMatch(
          /the certificate of the store is not trusted \(.+\)\. .+ name its certificate in s3\.caBundle\n$/,
        );
        const named = await program(options, "mail", ...creating, "--authority", at("authority.pem"));
        expect(named).toMatchObject({ code: 0 });
        const absent = await program(options, "mail", ...creating, "--authority", at("none.pem"));
        expect(absent.text).toMatch(/^backup: the ConfigMap or Secret that s3\.caBundle names is missing/);
        put("empty.pem", "nothing");
        const empty = await program(options, "mail", ...creating, "--authority", at("empty.pem"));
        expect(empty.text).toMatch(/^backup: what s3\.caBundle names holds no certificate/);
      } finally {
        await secure.stop();
      }
    });

    test("it says what is wrong in one sentence, and restores nothing", async () => {
      const options = bucket();
      const { name } = await backup(options, { contents: "Identity" });
      put("other-identities", await generateIdentity());
      const wrong = await program(
        options,
        "refused",
        "restore",
        "--file",
        name,
        "--identities",
        at("other-identities"),
      );
      expect(wrong).toEqual({ code: 1, text: "backup: this backup is encrypted for other keys than the one given\n" });
      const bad = { ...options, secretAccessKey: "another" };
      const refused = await program(bad, "mail", "create", "--server=nine", "--recipient", recipient);
      expect(refused.code).toBe(1);
      expect(refused.text).toMatch(
        /^backup: \S+ can't be written in bucket bucket-\d+ of http:\S+: SignatureDoesNotMatch/,
      );
      expect(refused.text.trim().split("\n")).toHaveLength(1);
      expect(restoredIn("refused")).toEqual([]);
    });
  });

  test("of many the newest stay, and nothing of others is touched", async () => {
    const options = bucket();
    const others = [
      "another.example/nine-20261101T000000Z-all.tar.gz.age",
      `${domain}/nine-too-20261101T000000Z-all.tar.gz.age`,
      `${domain}/notes.txt`,
    ];
    for (const Key of others) await client.send(new PutObjectCommand({ Bucket: options.bucket, Key, Body: "x" }));
    const names: string[] = [];
    for (const day of [1, 2, 3, 4]) {
      const { name, deleted } = await backup(options, {
        time: `2026-11-0${day}T00:00:00Z`,
        keep: 2,
        contents: "Identity",
      });
      expect(deleted).toEqual(names.slice(0, -1).slice(-1));
      names.push(name);
    }
    const kept = names.slice(-2).map((name) => `${domain}/${name}`);
    expect((await keysIn(options)).sort()).toEqual([...kept, ...others].sort());
  });

  test("a list goes on where the server's page ends", async () => {
    const options = bucket();
    const keys = Array.from({ length: 1_001 }, (_, nth) => `${domain}/file-${nth}`);
    for (let nth = 0; nth < keys.length; nth += 50)
      await Promise.all(
        keys.slice(nth, nth + 50).map((Key) => client.send(new PutObjectCommand({ Bucket: options.bucket, Key }))),
      );
    expect(await s3Destination(options).list()).toHaveLength(keys.length);
  });

  describe("nothing is restored from", () => {
    let options: Options;
    let name: string;
    beforeAll(async () => {
      options = bucket();
      ({ name } = await backup(options));
    });
    const spoilt = async (change: (bytes: Buffer) => Buffer, says: RegExp) => {
      const bad = "nine-20261130T000000Z-all.tar.gz.age";
      await replace(options, bad, change(await bytesOf(options, name)));
      await expect(restore(options, bad, { into: "spoilt" })).rejects.toThrow(says);
      const drilled = async () => drill(await decrypted(await s3Destination(options).read(bad), identity), domain);
      await expect(drilled()).rejects.toThrow(says);
      expect(restoredIn("spoilt")).toEqual([]);
    };

    test("one that was cut off", () => spoilt((bytes) => bytes.subarray(0, bytes.length >> 1), /this backup/));
    test("one with a changed byte", () =>
      spoilt((bytes) => {
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        return bytes;
      }, /this backup can't be read/));
    test("another file", () => spoilt(() => Buffer.from("hello"), /not a file encrypted with age/));

    test("one for another key", async () => {
      const key = await generateIdentity();
      await expect(restore(options, name, { key, into: "spoilt" })).rejects.toThrow(/encrypted for other keys/);
      expect(restoredIn("spoilt")).toEqual([]);
    });

    test("one of a newer format", async () => {
      async function* nothing() {}
      const manifest = { format: 2, contents: "All", server: "nine", domains: [domain], time: "2027-01-01T00:00:00Z" };
      const stream = await encrypted(packArchive(manifest as never, nothing()), [recipient]);
      await s3Destination(options).write("newer.age", stream);
      await expect(restore(options, "newer.age", { into: "spoilt" })).rejects.toThrow(
        "this backup has format 2, and this version reads formats up to 1: use the version that wrote it, or a newer one",
      );
      expect(restoredIn("spoilt")).toEqual([]);
    });

    test("one that is not there", async () => {
      await expect(restore(options, "none.age")).rejects.toThrow(/none\.age can't be read in bucket .*NoSuchKey/);
    });

    test("one that breaks off while it is read; the next restore begins anew", async () => {
      const { promise: dead, resolve } = Promise.withResolvers<void>();
      let seen = 0;
      const cut = new TransformStream<Uint8Array, Uint8Array>({
        async transform(chunk, controller) {
          seen += chunk.length;
          if (seen > mebibyte) await s3.kill().then(resolve);
          controller.enqueue(chunk);
        },
      });
      const stream = (await s3Destination(options).read(name)).pipeThrough(cut);
      await expect(decrypted(stream, identity).then((clear) => restoreMail(clear, at("broken")))).rejects.toThrow(
        /this backup can't be read/,
      );
      await dead;
      await s3.start();
      expect(restoredIn("broken")).toEqual([]);
      expect(await restore(options, name, { into: "broken" })).toMatchObject({ accounts: 2 });
      expect(restoredIn("broken")).toEqual([domain]);
    });
  });

  describe("nothing is left under the name", () => {
    /** Ends after its first part was sent. */
    const failing = (fail: () => void | Promise<void>) => {
      let sent = 0;
      return new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (sent === 40 * mebibyte) await fail();
          sent += mebibyte;
          controller.enqueue(randomBytes(mebibyte));
          if (sent === 48 * mebibyte) controller.close();
        },
      });
    };

    test("of one that fails while it is made", async () => {
      const options = bucket();
      const stream = failing(() => {
        throw new Error("the disk can't be read");
      });
      await expect(s3Destination(options).write("x.age", stream)).rejects.toThrow(
        /x\.age can't be written in bucket .*the disk can't be read/,
      );
      expect(await keysIn(options)).toEqual([]);
      expect(await uploadsIn(options)).toBe(0);
    });

    test("of one that is stopped", async () => {
      const options = bucket();
      const stop = new AbortController();
      const stream = failing(() => stop.abort());
      await expect(s3Destination(options).write("x.age", stream, stop.signal)).rejects.toThrow(
        /x\.age can't be written/,
      );
      expect(await keysIn(options)).toEqual([]);
      expect(await uploadsIn(options)).toBe(0);
    });

    test("of one whose server ends", async () => {
      const options = bucket();
      const stream = failing(() => s3.kill());
      await expect(s3Destination(options).write("x.age", stream)).rejects.toThrow(
        /x\.age can't be written in bucket .*ECONNREFUSED/,
      );
      await s3.start();
      expect(await keysIn(options)).toEqual([]);
    });
  });

  test.each([
    { when: "the bucket is missing", wrong: { bucket: "none" }, says: /bucket none of http.*NoSuchBucket/ },
    { when: "the key is unknown", wrong: { accessKeyId: "nobody" }, says: /access key ID/ },
    { when: "the secret is another", wrong: { secretAccessKey: "another" }, says: /SignatureDoesNotMatch/ },
    { when: "nobody listens", wrong: { endpoint: "http://127.0.0.1:1" }, says: /127\.0\.0\.1:1: .*ECONNREFUSED/ },
  ])("the error names the place where $when", async ({ wrong, says }) => {
    const options = { ...bucket(), ...wrong };
    await expect(s3Destination(options).list()).rejects.toThrow(says);
    await expect(backup(options, { contents: "Identity" })).rejects.toThrow(says);
  });
});
