/** The image of the relay pod. */
import * as z from "zod";
import { objectName, text } from "../schema.ts";

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
    pullPolicy: z
      .enum(["Always", "IfNotPresent", "Never"])
      .default("IfNotPresent")
      .describe("When the node pulls the image."),
    pullSecrets: z
      .array(z.object({ name: objectName("name").describe("Name of the Secret.") }))
      .max(8)
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] })
      .optional()
      .describe("Secrets with which the node pulls the image from a private registry."),
  })
  .describe("Image of all containers of the relay pod.");
