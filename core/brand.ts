/** Nominal typing for values that would otherwise be mixed up: a branded string is still a string at run time. */
export type Brand<Base, Name extends string> = Base & { readonly __brand: Name };
