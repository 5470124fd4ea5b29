"""`python -m maggan.tables table1|table2|table3 PROFILE`: print a table, and write it in every format."""

from maggan.arguments import ARGUMENTS, arguments
from maggan.basics.errors import cli
from maggan.evaluate import Results
from maggan.report.tables import TABLES, write_table
from maggan.report.terminal import brief


def main():
    parser = arguments("tables", "Tables 1 to 3.")
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("profile", **ARGUMENTS["profile"])
    parser.add_argument("--brief", action="store_true", help="Table 3 as far as it is measured, for a terminal")
    args = parser.parse_args()
    if args.brief:
        print(brief(Results(args.profile)))
        return
    print(write_table(args.table, Results(args.profile)).read_text(encoding="utf-8"))


if __name__ == "__main__":
    cli(main)
