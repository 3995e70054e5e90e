/** Backups as objects in a bucket of an S3-compatible store. */
import { Readable } from "node:stream";
import { rootCertificates } from "node:tls";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { codeOf } from "../lib/text.ts";
import type { Destination } from "./destination.ts";
import { BackupProblem } from "./problem.ts";

export interface S3Options {
  /** Of a store that is not AWS: https://s3.example.org */
  endpoint?: string | undefined;
  region: string;
  bucket: string;
  /** In front of each name: "relays/nine/". */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** The bucket in the path and not in the host name, as most stores that are not AWS want it. */
  pathStyle: boolean;
  /** Certificates in PEM, of authorities that are trusted beside the public ones. */
  authority?: string | undefined;
}

/** Ten thousand parts are the most there may be: 156 GiB. Two of them are in memory at a time. */
const partBytes = 16 * 1024 * 1024;

export function s3Destination(options: S3Options): Destination {
  const { endpoint, region, bucket, prefix, accessKeyId, secretAccessKey, pathStyle, authority } = options;
  const client = new S3Client({
    region,
    forcePathStyle: pathStyle,
    credentials: { accessKeyId, secretAccessKey },
    // stores that are not AWS refuse checksums that they do not know
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...(endpoint !== undefined && { endpoint }),
    ...(authority !== undefined && { requestHandler: { httpsAgent: { ca: [...rootCertificates, authority] } } }),
  });
  const where = `bucket ${bucket}${endpoint === undefined ? "" : ` of ${endpoint}`}`;
  const keyOf = (name: string) => prefix + name;
  const told = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      throw new BackupProblem(`${what} in ${where}: ${textOf(thrown)}`, { cause: thrown });
    }
  };
  return {
    where: `${where}, ${prefix === "" ? "at its top" : `under ${prefix}`}`,
    async write(name, stream, signal) {
      const body = Readable.fromWeb(stream as never);
      const upload = new Upload({
        client,
        params: { Bucket: bucket, Key: keyOf(name), Body: body },
        partSize: partBytes,
        queueSize: 2,
        leavePartsOnError: false,
      });
      // Upload's own abort does not wait until the parts that were sent are taken back
      const abort = () => void body.destroy(signal?.reason as Error);
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort, { once: true });
      try {
        await told(`${name} can't be written`, upload.done());
      } finally {
        signal?.removeEventListener("abort", abort);
      }
    },
    async read(name) {
      const { Body } = await told(
        `${name} can't be read`,
        client.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(name) })),
      );
      if (!Body) throw new BackupProblem(`${name} in ${where} has no contents`);
      return Body.transformToWebStream() as ReadableStream<Uint8Array>;
    },
    async list() {
      const names: string[] = [];
      let token: string | undefined;
      do {
        const page = await told(
          "backups can't be listed",
          client.send(
            new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...(token && { ContinuationToken: token }) }),
          ),
        );
        for (const { Key } of page.Contents ?? []) if (Key?.startsWith(prefix)) names.push(Key.slice(prefix.length));
        token = page.NextContinuationToken;
      } while (token !== undefined);
      return names;
    },
    async delete(name) {
      await told(
        `${name} can't be deleted`,
        client.send(new DeleteObjectCommand({ Bucket: bucket, Key: keyOf(name) })),
      );
    },
  };
}

/** What Node says of a chain that ends nowhere it trusts. */
const untrustedCodes = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_UNTRUSTED",
]);

/** The store's code and words: `NoSuchBucket: The specified bucket does not exist`. */
function textOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const untrusted = untrustedCodes.has(codeOf(thrown) ?? "");
  if (untrusted)
    return `the certificate of the store is not trusted (${thrown.message}). If its authority is your own, name its certificate in s3.caBundle`;
  const { name, message } = thrown;
  return name === "Error" || message.startsWith(name) ? message : `${name}: ${message}`;
}
