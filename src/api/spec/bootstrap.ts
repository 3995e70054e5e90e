/** What a new volume begins with. */
import * as z from "zod";
import { atLeastOneOf, atMostOneOf, isTrue, neededUnless, withRules } from "../rules.ts";
import { objectName, text } from "../schema.ts";
import { S3 } from "./backup.ts";

const claim = (describe: string) =>
  z
    .object({ name: objectName("name").describe("Name of the PersistentVolumeClaim, in the same namespace.") })
    .describe(describe);

const oneOf = "must have one of s3, volumeClaim and upload";

export const Bootstrap = withRules(
  z.object({
    restore: withRules(
      z.object({
        s3: S3.optional(),
        volumeClaim: claim(
          "The volume that backup.destination.volumeClaim has named. Pod and volume must be usable on one node.",
        ).optional(),
        upload: z
          .boolean()
          .optional()
          .describe("true: the relay pod waits until kubectl chatmail restore sends a backup from a file."),
        name: text({
          name: "name",
          pattern: "^[a-z][a-z0-9-]*-[0-9]{8}T[0-9]{6}Z-(identity|all)[.]tar[.]gz[.]age$",
          says: "the name of a backup, such as nine-20261129T221800Z-all.tar.gz.age",
          maxLength: 128,
        })
          .optional()
          .describe("Name of the backup in the bucket or on the volume. Default: the newest one of the domain."),
        ageIdentitySecretName: objectName("ageIdentitySecretName")
          .optional()
          .describe(
            "Secret with the key identity: the secret key of age (AGE-SECRET-KEY-1…) that opens the backup. Delete it when the server is Ready. Not needed with upload.",
          ),
      }),
      atLeastOneOf(["s3", "volumeClaim", "upload"], `restore ${oneOf}`),
      atMostOneOf(["s3", "volumeClaim"], `restore ${oneOf}`),
      atMostOneOf(["s3", "upload"], `restore ${oneOf}`),
      atMostOneOf(["volumeClaim", "upload"], `restore ${oneOf}`),
      isTrue("upload"),
      neededUnless("ageIdentitySecretName", "upload"),
    )
      .optional()
      .describe(
        "Accounts, and the mail if the backup has it, come from a backup of this domain. The relay starts when all of it is there. A volume that has accounts is left as it is, so this acts once.",
      ),
    import: z
      .object({
        volumeClaim: claim(
          "A volume with the files of the other relay: those of its /, or a copy with the same paths. The user 5000 must be able to read them.",
        ),
      })
      .optional()
      .describe(
        "Accounts and mail come from a relay of the same domain that was set up with cmdeploy. The relay starts when all of it is there. A volume that has accounts is left as it is, so this acts once.",
      ),
  }),
  atMostOneOf(["restore", "import"], "bootstrap must be either restore or import"),
).describe("What a new volume begins with.");
