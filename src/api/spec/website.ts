/** The pages of a relay. */
import * as z from "zod";
import { objectName } from "../schema.ts";

export const Website = z
  .object({
    configMapName: objectName("configMapName")
      .optional()
      .describe(
        "A ConfigMap whose files (index.html and what it refers to) replace the built-in pages, or whose texts.LANGUAGE.json change or add to the texts of these.",
      ),
  })
  .describe("The website of the relay.");
