// Writes format.golden beside itself: how Intl.NumberFormat, which carries CLDR, writes amounts. The file is the oracle
// for the tests of Format. It was made with Node 20.20 (ICU 78.2, CLDR 48); run "node format_golden.mjs" to make it
// again when currency_table.go moves to another CLDR.
//
// Amounts are given as strings, so Intl reads them exactly. Each line has four columns between tabs: locale, currency,
// amount, and the formatted text as a quoted string in which everything invisible is escaped.
import { writeFileSync } from "node:fs";

const locales = ["en", "ru", "uz", "bn"];

// Every ISO 4217 currency with a minor unit, less AFN ALL COP HUF IDR IQD IRR KPW LAK LBP MGA MMK PKR SOS SYP YER: there
// CLDR shows no decimal places where ISO 4217 has them, and ours is ISO 4217. format_test.go has those.
const sweep = `
  AED AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
  CDF CHE CHF CHW CLF CLP CNY COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL
  GHS GIP GMD GNF GTQ GYD HKD HNL HTG ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LKR LRD
  LSL LYD MAD MDL MKD MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK
  PHP PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SRD SSP STN SVC SZL THB TJS TMT TND
  TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF ZAR ZMW
  ZWG
`.trim().split(/\s+/);

// Currencies that get every amount, by their number of decimal places.
const thorough = { USD: 2, EUR: 2, BDT: 2, UZS: 2, RUB: 2, CHF: 2, XCG: 2, JPY: 0, XOF: 0, KWD: 3, CLF: 4 };

// In minor units: the edges of grouping, of the fraction and of int64.
const minors = [
  "0", "1", "-1", "7", "10", "99", "100", "-100", "110", "999", "1000", "12345", "99999", "100000", "-100000", "999999",
  "1000000", "9999999", "10000000", "123456789", "-123456789", "12345678901", "9223372036854775807",
  "-9223372036854775808",
];

function decimal(minor, exponent) {
  const negative = minor.startsWith("-");
  const digits = (negative ? minor.slice(1) : minor).padStart(exponent + 1, "0");
  const point = digits.length - exponent;
  return (negative ? "-" : "") + digits.slice(0, point) + (exponent > 0 ? "." + digits.slice(point) : "");
}

function quote(text) {
  return JSON.stringify(text).replace(/[\u007f-\u00a0\u2000-\u206f]/g,
    (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
}

const lines = [];
for (const locale of locales) {
  for (const currency of sweep) {
    const format = new Intl.NumberFormat(locale, { style: "currency", currency });
    const exponent = format.resolvedOptions().maximumFractionDigits;
    if (currency in thorough && thorough[currency] !== exponent) {
      throw new Error(`${currency} has ${exponent} decimal places here`);
    }
    for (const minor of currency in thorough ? minors : ["-123456789"]) {
      const amount = decimal(minor, exponent);
      lines.push([locale, currency, amount, quote(format.format(amount))].join("\t"));
    }
  }
}
writeFileSync(new URL("format.golden", import.meta.url), lines.join("\n") + "\n");
