/**
 * The encryption of a backup: age (age-encryption.org/v1), for one or more recipients. Whoever
 * writes backups needs no secret; whoever restores one needs the identity of a recipient.
 */
import { Decrypter, Encrypter } from "age-encryption";
import { messageOf } from "../lib/text.ts";
import { BackupProblem } from "./problem.ts";

/** Throws BackupProblem with the recipient that is not one. */
export async function encrypted(
  stream: ReadableStream<Uint8Array>,
  recipients: readonly string[],
): Promise<ReadableStream<Uint8Array>> {
  if (recipients.length === 0) throw new BackupProblem("a backup is for one recipient at least: name one (age1…)");
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (thrown) {
      throw new BackupProblem(
        `${recipient} is not the recipient of an age key: it begins with age1, as age-keygen -y prints it`,
        { cause: thrown },
      );
    }
  }
  return encrypter.encrypt(stream);
}

/**
 * `identities`: the text of a file as age-keygen writes it: a key (AGE-SECRET-KEY-1…) a line, and
 * comments. Throws BackupProblem where none of them is of a recipient, or it is no such file.
 */
export async function decrypted(
  stream: ReadableStream<Uint8Array>,
  identities: string,
): Promise<ReadableStream<Uint8Array>> {
  const decrypter = new Decrypter();
  const keys = identities
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (keys.length === 0) throw new BackupProblem("there is no age key (AGE-SECRET-KEY-1…) to open the backup with");
  for (const key of keys) {
    try {
      decrypter.addIdentity(key);
    } catch {
      // never quoted: it may be a key with a typing mistake
      throw new BackupProblem("the age key to open the backup with is not valid: it begins with AGE-SECRET-KEY-1");
    }
  }
  try {
    return await decrypter.decrypt(stream);
  } catch (thrown) {
    const message = messageOf(thrown);
    throw new BackupProblem(
      /no identity matched/i.test(message)
        ? "this backup is encrypted for other keys than the one given"
        : `this is not a file encrypted with age, or it is damaged at its beginning: ${message}`,
      { cause: thrown },
    );
  }
}
