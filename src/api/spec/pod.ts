/** What else the pods of a relay have. */
import * as z from "zod";
import { entries, objectName } from "../schema.ts";

export const Pod = z
  .object({
    labels: entries({ atMost: 16, valueMaxLength: 63 })
      .optional()
      .describe("Labels of the relay pod and of the pods of the expiry job. The operator's own labels go before them."),
    annotations: entries({ atMost: 50, valueMaxLength: 1024 })
      .optional()
      .describe("Annotations of these pods. The operator's own annotations go before them."),
    serviceAccountName: objectName("serviceAccountName")
      .optional()
      .describe("ServiceAccount of these pods, for policies that go by it; no token is mounted. Default: default."),
  })
  .describe("Labels, annotations and ServiceAccount of the pods.");
