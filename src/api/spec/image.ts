/** The image of the relay pod. */
import { z } from "zod";
import { text } from "../schema.ts";

export const Image = z
  .object({
    reference: text({
      name: "reference",
      pattern: "^[^ \\t\\r\\n]+$",
      says: "an image reference without spaces",
      maxLength: 512,
    })
      .optional()
      .describe("Relay image. Default: the image of the operator's version."),
  })
  .describe("Image of all containers of the relay pod.");
