/** Set when the plugin is bundled. */
export const pluginVersion = process.env.CHATMAIL_PLUGIN_VERSION ?? "dev";
