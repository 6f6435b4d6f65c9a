import type { proxyFromEnvironment } from '../guest/proxy.ts';
import type { Plan } from '../recipe/plan.ts';
import type { VerifySettings } from '../verify/settings.ts';

/** What the recipe and the build let pass, and what of this host's network may not be in the image. */
export function verifySettings(
  own: Plan['verify'],
  told: VerifySettings = {},
  proxy: ReturnType<typeof proxyFromEnvironment> = {},
): VerifySettings {
  const addresses = [proxy.http, proxy.https].map((text) => /^(?:\w+:\/\/)?(?:[^@/]*@)?([^/]+)/.exec(text ?? '')?.[1]);
  return {
    ...told,
    allow: [...(own?.allow ?? []), ...(told.allow ?? [])],
    off: [...(own?.off ?? []), ...(told.off ?? [])],
    forbidden: [...addresses.filter((address) => address !== undefined), ...(told.forbidden ?? [])],
  };
}
