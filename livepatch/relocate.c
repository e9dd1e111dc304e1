// SPDX-License-Identifier: GPL-2.0
/*
 * relocate IN.ko OUT.ko SYMVERS [OBJECT=PREFIX]...
 *
 * Make a module that refers to what the kernel does not export one that the live patch
 * core links, see Documentation/livepatch/module-elf-format.rst.
 *
 * An undefined symbol that SYMVERS, a Module.symvers, does not list belongs to the
 * module OBJECT when it has PREFIX, and to vmlinux otherwise. It must be there once only,
 * which the kernel sees to when the module is loaded.
 *
 * Run after strip, which drops the sections that are made here.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* of include/uapi/linux/elf.h, which a system's elf.h need not have */
#define KLP_SHF_RELA	0x00100000
#define KLP_SHN		0xff20

#define MAX_OBJECTS	8
#define MAX_PREFIXES	16
#define MAX_EXPORTS	65536

static const char *objects[MAX_OBJECTS] = { "vmlinux" };
static int nr_objects = 1;
static struct prefix {
	const char *text;
	int object;
} prefixes[MAX_PREFIXES];
static int nr_prefixes;

static Elf *elf;
/* of each symbol: its object, or -1 when it stays as it is */
static int *object_of;
static size_t nr_symbols;
static int nr_klp_symbols, nr_klp_sections;

static void elf_die(const char *what)
{
	errx(1, "%s: %s", what, elf_errmsg(-1));
}

static void *must(void *p)
{
	if (!p)
		err(1, "memory");
	return p;
}

static ENTRY entry_of(const char *name)
{
	ENTRY e = { .key = (char *)name };

	return e;
}

/* CRC, symbol, module, type, namespace; with tabs between */
static void read_symvers(const char *path)
{
	char *line = NULL, *name;
	size_t size = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		err(1, "%s", path);
	if (!hcreate(MAX_EXPORTS))
		err(1, "memory");
	while (getline(&line, &size, f) > 0) {
		strtok(line, "\t");
		name = strtok(NULL, "\t");
		if (name && !hsearch(entry_of(must(strdup(name))), ENTER))
			err(1, "%s", path);
	}
	free(line);
	fclose(f);
}

static bool is_exported(const char *name)
{
	return hsearch(entry_of(name), FIND);
}

/* A tracepoint of xfs is xfs's, as __tracepoint_xfs_..., and so on. */
static int find_object(const char *name)
{
	static const char *const of_tracepoints[] = {
		"__tracepoint_", "__traceiter_", "__SCK__tp_func_", "__SCT__tp_func_",
	};

	for (size_t i = 0; i < sizeof(of_tracepoints) / sizeof(*of_tracepoints); i++) {
		size_t n = strlen(of_tracepoints[i]);

		if (!strncmp(name, of_tracepoints[i], n)) {
			name += n;
			break;
		}
	}
	for (int i = 0; i < nr_prefixes; i++)
		if (!strncmp(name, prefixes[i].text, strlen(prefixes[i].text)))
			return prefixes[i].object;
	return 0;
}

static Elf_Data *data_of(Elf_Scn *scn)
{
	Elf_Data *data = elf_getdata(scn, NULL);

	if (!data)
		elf_die("section");
	return data;
}

/* Returns where the text is in the string table. */
static size_t add_string(size_t index, const char *text)
{
	Elf_Data *data = data_of(elf_getscn(elf, index));
	size_t at = data->d_size, n = strlen(text) + 1;
	char *buf = must(malloc(at + n));

	/* libelf has the old one */
	memcpy(buf, data->d_buf, at);
	memcpy(buf + at, text, n);
	data->d_buf = buf;
	data->d_size = at + n;
	elf_flagdata(data, ELF_C_SET, ELF_F_DIRTY);
	return at;
}

static Elf_Scn *find_section(GElf_Word type)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == type)
			return scn;
	return NULL;
}

static void name_symbols(Elf_Scn *symtab)
{
	Elf_Data *data = data_of(symtab);
	GElf_Shdr sh;
	GElf_Sym sym;

	gelf_getshdr(symtab, &sh);
	nr_symbols = sh.sh_size / sh.sh_entsize;
	object_of = must(calloc(nr_symbols, sizeof(*object_of)));
	for (size_t i = 0; i < nr_symbols; i++) {
		const char *name;
		char *klp;

		object_of[i] = -1;
		gelf_getsym(data, i, &sym);
		name = elf_strptr(elf, sh.sh_link, sym.st_name);
		if (sym.st_shndx != SHN_UNDEF || !name || !*name || is_exported(name))
			continue;
		object_of[i] = find_object(name);
		if (asprintf(&klp, ".klp.sym.%s.%s,0", objects[object_of[i]], name) < 0)
			err(1, "memory");
		sym.st_name = add_string(sh.sh_link, klp);
		sym.st_shndx = KLP_SHN;
		gelf_update_sym(data, i, &sym);
		free(klp);
		nr_klp_symbols++;
	}
	elf_flagdata(data, ELF_C_SET, ELF_F_DIRTY);
}

/* A section with those relocations of @from that are by symbols of @object. */
static void add_section(Elf_Scn *from, const char *target, int object,
			const Elf64_Rela *rela, size_t nr)
{
	Elf64_Rela *picked = must(calloc(nr, sizeof(*picked)));
	size_t n = 0, strings;
	Elf_Data *data;
	Elf_Scn *scn;
	GElf_Shdr sh;
	char *name;

	for (size_t i = 0; i < nr; i++)
		if (object_of[ELF64_R_SYM(rela[i].r_info)] == object)
			picked[n++] = rela[i];
	if (!n) {
		free(picked);
		return;
	}
	scn = elf_newscn(elf);
	data = scn ? elf_newdata(scn) : NULL;
	if (!data)
		elf_die("new section");
	data->d_buf = picked;
	data->d_size = n * sizeof(*picked);
	data->d_type = ELF_T_RELA;
	data->d_align = 8;
	if (elf_getshdrstrndx(elf, &strings) ||
	    asprintf(&name, ".klp.rela.%s.%s", objects[object], target) < 0)
		err(1, "memory");
	gelf_getshdr(from, &sh);
	sh.sh_name = add_string(strings, name);
	sh.sh_flags = SHF_ALLOC | SHF_INFO_LINK | KLP_SHF_RELA;
	sh.sh_size = data->d_size;
	gelf_update_shdr(scn, &sh);
	free(name);
	nr_klp_sections++;
}

/* What is left in a section are those that the module loader knows. */
static void split_section(Elf_Scn *scn, const char *target)
{
	Elf_Data *data = data_of(scn);
	size_t nr = data->d_size / sizeof(Elf64_Rela), kept = 0;
	Elf64_Rela *rela = data->d_buf;

	for (int object = 0; object < nr_objects; object++)
		add_section(scn, target, object, rela, nr);
	for (size_t i = 0; i < nr; i++)
		if (object_of[ELF64_R_SYM(rela[i].r_info)] < 0)
			rela[kept++] = rela[i];
	data->d_size = kept * sizeof(*rela);
	elf_flagdata(data, ELF_C_SET, ELF_F_DIRTY);
}

static void split_sections(void)
{
	size_t strings, nr;

	if (elf_getshdrnum(elf, &nr) || elf_getshdrstrndx(elf, &strings))
		elf_die("sections");
	/* not those that are new */
	for (size_t i = 1; i < nr; i++) {
		Elf_Scn *scn = elf_getscn(elf, i);
		GElf_Shdr sh, target;
		char *name;

		gelf_getshdr(scn, &sh);
		if (sh.sh_type != SHT_RELA || sh.sh_info >= nr)
			continue;
		gelf_getshdr(elf_getscn(elf, sh.sh_info), &target);
		if (!(target.sh_flags & SHF_ALLOC))
			continue;
		name = must(strdup(elf_strptr(elf, strings, target.sh_name)));
		split_section(scn, name);
		free(name);
	}
}

static int copy(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY), out;
	ssize_t n;

	if (in < 0)
		err(1, "%s", from);
	out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (out < 0)
		err(1, "%s", to);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			err(1, "%s", to);
	if (n < 0)
		err(1, "%s", from);
	close(in);
	return out;
}

static void add_prefix(char *arg)
{
	char *text = strchr(arg, '=');
	int i = 0;

	if (!text || nr_prefixes == MAX_PREFIXES)
		errx(2, "%s: not OBJECT=PREFIX, or too many", arg);
	*text++ = '\0';
	while (i < nr_objects && strcmp(objects[i], arg))
		i++;
	if (i == MAX_OBJECTS)
		errx(2, "%s: too many objects", arg);
	if (i == nr_objects)
		objects[nr_objects++] = arg;
	prefixes[nr_prefixes++] = (struct prefix){ text, i };
}

int main(int argc, char **argv)
{
	Elf_Scn *symtab;
	GElf_Ehdr eh;
	int fd;

	if (argc < 4)
		errx(2, "usage: relocate IN.ko OUT.ko SYMVERS [OBJECT=PREFIX]...");
	for (int i = 4; i < argc; i++)
		add_prefix(argv[i]);
	read_symvers(argv[3]);
	if (elf_version(EV_CURRENT) == EV_NONE)
		elf_die("libelf");
	fd = copy(argv[1], argv[2]);
	elf = elf_begin(fd, ELF_C_RDWR, NULL);
	if (!elf || !gelf_getehdr(elf, &eh) || eh.e_type != ET_REL ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64)
		errx(1, "%s: not a 64-bit module", argv[1]);
	symtab = find_section(SHT_SYMTAB);
	if (!symtab)
		errx(1, "%s: no symbols", argv[1]);
	name_symbols(symtab);
	split_sections();
	if (elf_update(elf, ELF_C_WRITE) < 0)
		elf_die(argv[2]);
	elf_end(elf);
	if (close(fd))
		err(1, "%s", argv[2]);
	printf("%d symbols of the kernel, %d sections\n", nr_klp_symbols,
	       nr_klp_sections);
	return 0;
}
