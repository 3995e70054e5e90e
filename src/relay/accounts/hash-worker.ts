/**
 * Entry of the worker thread that computes password hashes. Bundled as a file of its own beside the
 * daemon (`relay-hash.js`).
 */
import { parentPort } from "node:worker_threads";
import { sha512Crypt, sha512CryptMatches } from "./sha512-crypt.ts";

export type HashJob =
  | { kind: "hash"; password: string; setting: string }
  | { kind: "verify"; password: string; stored: string };

/** The text of crypt(3), or whether it matches; undefined for a setting that is none. */
export type HashResult = string | boolean | undefined;

parentPort?.on("message", (job: HashJob) => {
  const result: HashResult =
    job.kind === "hash" ? sha512Crypt(job.password, job.setting) : sha512CryptMatches(job.password, job.stored);
  parentPort?.postMessage(result);
});
