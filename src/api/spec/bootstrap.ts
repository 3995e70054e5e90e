/** What a new volume begins with. */
import { z } from "zod";
import { objectName, text } from "../schema.ts";
import { S3 } from "./backup.ts";

export const Bootstrap = z
  .object({
    restore: z
      .object({
        s3: S3,
        name: text({
          name: "name",
          pattern: "^[a-z][a-z0-9-]*-[0-9]{8}T[0-9]{6}Z-(identity|all)[.]tar[.]gz[.]age$",
          says: "the name of a backup, such as nine-20261129T221800Z-all.tar.gz.age",
          maxLength: 128,
        })
          .optional()
          .describe("Name of the backup. Default: the newest one of the domain."),
        ageIdentitySecretName: objectName("ageIdentitySecretName").describe(
          "Secret with the key identity: the secret key of age (AGE-SECRET-KEY-1…) that opens the backup. Delete it when the server is Ready.",
        ),
      })
      .optional()
      .describe(
        "Accounts, and the mail if the backup has it, come from a backup of this domain. The relay starts when all of it is there. A volume that has accounts is left as it is, so this acts once.",
      ),
  })
  .describe("What a new volume begins with.");
