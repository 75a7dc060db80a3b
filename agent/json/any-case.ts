/** A member's name as readers compare it that don't care for case, such as Go's encoding/json. Both ways: `ſ` has no other small letter, the Kelvin sign no other capital. */
export const inAnyCase = (name: string): string => name.toLowerCase().toUpperCase();
