/** Backups of keys and accounts, and of mail where that is wanted. */
import * as z from "zod";
import { atMostOneOf, withRules } from "../rules.ts";
import { keyIn, objectName, text } from "../schema.ts";

/** Keys of the Secret that `credentialsSecretName` names: those that S3 clients everywhere read. */
export const s3SecretKeys = { accessKeyId: "AWS_ACCESS_KEY_ID", secretAccessKey: "AWS_SECRET_ACCESS_KEY" } as const;

export const S3 = z
  .object({
    bucket: text({
      name: "bucket",
      pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$",
      says: "the name of a bucket",
      maxLength: 255,
    }).describe("Bucket, which exists."),
    endpoint: text({
      name: "endpoint",
      pattern: "^https?://([A-Za-z0-9_.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?/?$",
      says: "a URL that begins with https:// or http:// and has no path",
      maxLength: 512,
    })
      .optional()
      .describe("URL of a store that is not AWS, such as https://s3.example.org. Default: AWS."),
    region: text({
      name: "region",
      pattern: "^[A-Za-z0-9-]+$",
      says: "a region such as eu-central-1",
      maxLength: 63,
    })
      .default("us-east-1")
      .describe("Region of the bucket."),
    prefix: text({
      name: "prefix",
      pattern: "^([A-Za-z0-9_.=-]+/)+$",
      says: "names with a / after each, such as relays/",
      maxLength: 256,
    })
      .optional()
      .describe("What the names of the objects begin with. A folder named as the domain follows it."),
    pathStyle: z
      .boolean()
      .optional()
      .describe(
        "Whether the bucket is in the path of URLs and not in their host name. Default: true with an endpoint.",
      ),
    caBundle: withRules(
      z.object({
        configMapName: objectName("configMapName").optional().describe("Name of the ConfigMap."),
        secretName: objectName("secretName").optional().describe("Name of the Secret."),
        key: keyIn("ca.crt").describe("Key in it that holds the certificates in PEM format."),
      }),
      atMostOneOf(["configMapName", "secretName"], "caBundle must name either a ConfigMap or a Secret"),
    )
      .optional()
      .describe(
        "Additional certificate authorities that may have signed the certificate of the endpoint, in a ConfigMap or a Secret of the namespace.",
      ),
    credentialsSecretName: objectName("credentialsSecretName").describe(
      `Secret with the keys ${s3SecretKeys.accessKeyId} and ${s3SecretKeys.secretAccessKey}. They need the right to list, read, write and delete objects.`,
    ),
  })
  .describe("A bucket of an S3-compatible store.");

const field = "(\\*|[0-9A-Za-z]+(-[0-9A-Za-z]+)?)(/[0-9]+)?";
const list = `${field}(,${field})*`;

const schedule = text({
  name: "schedule",
  pattern: `^(@(yearly|monthly|weekly|daily|hourly)|${list}( ${list}){4})$`,
  says: "five fields as cron has them, such as 30 3 * * *",
  maxLength: 128,
});

export const Backup = z
  .object({
    contents: z
      .enum(["Identity", "All"])
      .default("Identity")
      .describe(
        "Identity: keys, certificates, invites and accounts with their passwords, times and flags; a few megabytes. All: the mail, too.",
      ),
    schedule: schedule
      .optional()
      .describe("When a backup is made, in UTC, as cron has it. Default: each night, at a time of the server's own."),
    destination: withRules(
      z.object({
        s3: S3.optional(),
        volumeClaim: z
          .object({ name: objectName("name").describe("Name of the PersistentVolumeClaim, in the same namespace.") })
          .optional()
          .describe("Another volume. The job mounts it beside the volume of the relay, on the relay's node."),
      }),
      atMostOneOf(["s3", "volumeClaim"], "destination must be either s3 or volumeClaim"),
    )
      .optional()
      .describe("Where backups are kept. Without it, none are made."),
    encryption: z
      .object({
        ageRecipients: z
          .array(
            text({
              name: "ageRecipients",
              pattern: "^age1[02-9ac-hj-np-z]{58,}$",
              says: "public keys of age, as age-keygen -y prints them: age1…",
              maxLength: 2048,
            }),
          )
          .min(1)
          .max(16)
          .meta({ "x-kubernetes-list-type": "atomic" })
          .describe(
            "Public keys of age. Whoever has the secret key of one of them can read the backups. The operator needs none of these.",
          ),
      })
      .optional()
      .describe("For whom backups are encrypted (age-encryption.org). Nothing is saved without it."),
    drill: z
      .object({
        schedule: schedule
          .optional()
          .describe(
            "When the newest backup is read, in UTC, as cron has it. Default: each Sunday, six hours after the backup.",
          ),
        ageIdentitySecretName: objectName("ageIdentitySecretName").describe(
          "Secret with the key identity: the secret key of age. Whoever reads it can read the backups.",
        ),
      })
      .optional()
      .describe("Proves that the newest backup can be restored: all of it is read and decrypted, and nothing written."),
    keep: z
      .int()
      .min(1)
      .max(1000)
      .default(14)
      .describe("How many backups of this server are kept. Older ones are deleted after a new one was verified."),
  })
  .describe("Encrypted backups on a schedule.");
export type S3 = z.output<typeof S3>;
export type Backup = z.output<typeof Backup>;
